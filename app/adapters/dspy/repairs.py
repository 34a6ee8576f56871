"""How a model is told what was wrong with its answer: DSPy's own prompt, and two messages more."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import dspy  # type: ignore[import-untyped]

from app.adapters.base import Repair
from app.adapters.dspy.calls import current_log


def repair_messages(repair: Repair) -> Sequence[Mapping[str, Any]]:
    """Give what follows the prompt: the answer as the model gave it, and its faults."""
    faults = "".join(f"\n- {fault}" for fault in repair.faults)
    request = {
        "role": "user",
        "content": f"That answer cannot be used:{faults}\n"
        "Answer again, in full and in the same format, with this put right.",
    }
    said = repair.raw_output
    if not said:
        return [request]
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    return [{"role": "assistant", "content": text}, request]


class _Repairing:
    """Mixed into a prompt format of DSPy: where a repair is asked for, its messages follow.

    What comes before them stays as DSPy writes it, byte by byte, so that caches of prompts hold.
    Of several predictors, those are told that give all of the program's outputs.
    """

    def format(
        self, signature: Any, demos: Sequence[Mapping[str, Any]], inputs: Mapping[str, Any]
    ) -> list[Any]:
        """Give the messages of one LM call."""
        messages: list[Any] = super().format(signature, demos, inputs)  # type: ignore[misc]
        log = current_log()
        if log.repair is None or not log.outputs <= signature.output_fields.keys():
            return messages
        return [*messages, *repair_messages(log.repair)]


class JSONFormat(_Repairing, dspy.JSONAdapter):  # type: ignore[misc]
    """One JSON object."""


class ChatFormat(_Repairing, dspy.ChatAdapter):  # type: ignore[misc]
    """Sections under headers."""


class XMLFormat(_Repairing, dspy.XMLAdapter):  # type: ignore[misc]
    """XML elements."""
