"""The allow-list of compiled states."""

from typing import Any

import pytest

from app.signatures.states import DSPY_LM, ModuleShape, PredictorShape, StateError
from tests.support.states import METADATA, a_predictor_state, a_state

FLAT = ModuleShape(
    {"self": PredictorShape(("question", "answer"), a_predictor_state("question", "answer"))},
    METADATA["dependency_versions"],
    is_flat=True,
)
NESTED = ModuleShape(
    {
        "predict": PredictorShape(("question", "answer"), a_predictor_state("question", "answer")),
        "judge.predict": PredictorShape(("answer",), a_predictor_state("answer")),
    },
    METADATA["dependency_versions"],
)
BOTH = {
    "predict": a_predictor_state("question", "answer"),
    "judge.predict": a_predictor_state("answer"),
    "metadata": METADATA,
}


@pytest.mark.parametrize(("shape", "state"), [(FLAT, a_state()), (NESTED, BOTH)])
def test_a_state_that_fits_is_taken_as_it_is(shape: ModuleShape, state: dict[str, Any]) -> None:
    """What DSPy saved comes back without a change."""
    assert shape.read_state(state) == state


@pytest.mark.parametrize(("shape", "state"), [(FLAT, a_state()), (NESTED, BOTH)])
def test_a_fresh_state_is_what_dspy_would_save(shape: ModuleShape, state: dict[str, Any]) -> None:
    """It may be uploaded again, and nobody who changes it changes the shape."""
    fresh = shape.fresh_state()
    assert fresh == state
    assert shape.read_state(fresh) == state
    fresh.clear()
    assert shape.fresh_state() == state


def test_what_dspy_needs_to_load_a_state_is_added() -> None:
    """A state of the signature alone becomes whole."""
    state = a_state()
    assert FLAT.read_state({"signature": state["signature"]}) == {
        **state,
        "demos": [],
        "metadata": {"dependency_versions": {}},
    }


@pytest.mark.parametrize(
    "lm", [{"model": "openai/gpt-4o"}, {"_dspy_lm_class": DSPY_LM, "api_base": "http://evil"}]
)
def test_an_lm_is_left_out(lm: dict[str, Any]) -> None:
    """DSPy writes the LM that compiled; the program's is the operator's."""
    assert FLAT.read_state(a_state(lm=lm))["lm"] is None


def test_marks_and_traces_of_optimizers_are_no_faults() -> None:
    """A demo may say where it comes from, and lack fields."""
    demo = {"question": {"a": [1, None]}, "dspy_uuid": "x", "dspy_split": "train"}
    state = a_state(demos=[demo], traces=[{"a": 1}], train=["b"])
    assert FLAT.read_state(state) == state


def _changed(**members: Any) -> dict[str, Any]:
    state = a_state()
    return {**state, "signature": {**state["signature"], **members}}


@pytest.mark.parametrize(
    ("state", "paths"),
    [
        ({}, ["/signature"]),
        (a_state(demos=None), ["/demos"]),
        (a_state(demos=[1]), ["/demos/0"]),
        (a_state(demos=[{}, {"wat": 1, "answers": 2}]), ["/demos/1/wat", "/demos/1/answers"]),
        (a_state(traces={}), ["/traces"]),
        (a_state(lm="openai/gpt-4o"), ["/lm"]),
        (a_state(lm={"_dspy_lm_class": "os.system"}), ["/lm/_dspy_lm_class"]),
        (a_state(lm={"engine": {"class": "os.system"}}), ["/lm/engine"]),
        (a_state(module_class="os.system"), ["/module_class"]),
        (a_state(safe_v1=True, config={}), ["/safe_v1", "/config"]),
        (a_state(fields={"answer": {"criteria": "x"}}), ["/fields"]),
        (a_state(extended_signature={}), ["/extended_signature"]),
        ({**a_state(), "metadata": {"module": "os"}}, ["/metadata/module"]),
        ({**a_state(), "metadata": {"dependency_versions": {"dspy": 3}}},
         ["/metadata/dependency_versions/dspy"]),
        (_changed(instructions=None), ["/signature/instructions"]),
        (_changed(fields=[]), ["/signature/fields"]),
        (_changed(fields=[{"prefix": "a", "description": "b"}] * 3), ["/signature/fields"]),
        (_changed(fields=[{"prefix": 1}, "x"]),
         ["/signature/fields/0/prefix", "/signature/fields/0/description", "/signature/fields/1"]),
        (_changed(name="x"), ["/signature/name"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(state: dict[str, Any], paths: list[str]) -> None:
    """Each place is told, all of them at once."""
    with pytest.raises(StateError) as refused:
        FLAT.read_state(state)
    assert [fault.path for fault in refused.value.faults] == paths


def test_predictors_are_those_of_the_module() -> None:
    """One that the module lacks and one that the state lacks are both told."""
    state = {"predict": a_predictor_state("question"), "other": {}, "metadata": METADATA}
    with pytest.raises(StateError) as refused:
        NESTED.read_state(state)
    told = {(fault.path, fault.code) for fault in refused.value.faults}
    assert told == {
        ("/predict/signature/fields", "too_short"),
        ("/judge.predict", "missing"),
        ("/other", "unknown_field"),
    }
