"""Compiled states as DSPy writes them."""

from typing import Any

METADATA = {"dependency_versions": {"python": "3.11", "dspy": "3.4.1", "cloudpickle": "3.1"}}


def a_predictor_state(*fields: str, **members: Any) -> dict[str, Any]:
    """Give the state of one predictor with these fields, each told in words of its own."""
    told = [{"prefix": f"The {name}:", "description": f"What the {name} says."} for name in fields]
    return {
        "traces": [],
        "train": [],
        "demos": [{"augmented": True, **{name: f"some {name}" for name in fields}}],
        "signature": {"instructions": "Be brief.", "fields": told},
        "lm": None,
        **members,
    }


def a_state(*fields: str, **members: Any) -> dict[str, Any]:
    """Give the state of `predict` on these fields (question and answer by themselves)."""
    return {
        **a_predictor_state(*(fields or ("question", "answer")), **members),
        "metadata": METADATA,
    }
