"""Compiled states on the `dspy` adapter, held against DSPy's own `save` and `load`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy  # type: ignore[import-untyped]
import pytest

from app.adapters.base import Program
from app.adapters.dspy import DspyAdapter
from app.adapters.dspy.programs import MODULES
from app.adapters.dspy.signatures import build_signature
from app.adapters.errors import AdapterError, ErrorType
from tests.adapters.programs import NOTATION, a_call, a_program
from tests.support.model_server import ModelServer
from tests.support.states import a_predictor_state

MODULE_NAMES = sorted(MODULES)
OWN_FORMATS = {"json": dspy.JSONAdapter(), "chat": dspy.ChatAdapter(), "xml": dspy.XMLAdapter()}
QUESTION = "How are you?"


def _fresh(program: Program) -> Any:
    return MODULES[program.module](build_signature(program.signature))


def _compiled(program: Program) -> Any:
    """Give a module as an optimizer leaves it."""
    module = _fresh(program)
    (predictor,) = module.predictors()
    signature = predictor.signature.with_instructions("Be as kind as you can.\n\n  Always.")
    for name in signature.fields:
        signature = signature.with_updated_fields(name, desc=f"the {name}", prefix=f"{name}!")
    predictor.signature = signature
    predictor.demos = [
        dspy.Example(augmented=True, reasoning="r", question="a", answer="b", mood="bad", score=1),
        dspy.Example(question="only a question"),
        dspy.Example(question={"a": [1, None]}, answer="c", mood="good"),
    ]
    return module


def _saved(module: Any, folder: Path) -> dict[str, Any]:
    module.save(folder / "state.json")
    state: dict[str, Any] = json.loads((folder / "state.json").read_text())
    return state


@pytest.mark.parametrize("name", MODULE_NAMES)
async def test_a_fresh_state_is_that_of_dspy(
    dspy_adapter: DspyAdapter, tmp_path: Path, name: str
) -> None:
    """What `save` writes for a module that was never compiled, versions and all."""
    program = a_program(module=name, instructions="Be kind.")
    shape = await dspy_adapter.module_shape(program)
    assert shape.fresh_state() == _saved(_fresh(program), tmp_path)


@pytest.mark.parametrize("name", MODULE_NAMES)
async def test_what_an_optimizer_saved_is_taken_as_it_is(
    dspy_adapter: DspyAdapter, tmp_path: Path, name: str
) -> None:
    """`save` in a notebook, upload here: nothing has to be mended."""
    program = a_program(NOTATION, module=name)
    state = _saved(_compiled(program), tmp_path)
    if name == "predict":  # whose signature has no reasoning
        state["demos"][0].pop("reasoning")
    assert (await dspy_adapter.module_shape(program)).read_state(state) == state


@pytest.mark.parametrize("prompt_format", sorted(OWN_FORMATS))
@pytest.mark.parametrize("name", MODULE_NAMES)
async def test_a_compiled_program_asks_as_dspy_does_after_load(
    dspy_adapter: DspyAdapter, server: ModelServer, tmp_path: Path, name: str, prompt_format: str
) -> None:
    """The model's server receives the same messages, byte for byte, as from DSPy's own `load`."""
    program = a_program(module=name, config={"prompt_format": prompt_format})
    _compiled(program).save(tmp_path / "state.json")
    loaded = _fresh(program)
    loaded.load(tmp_path / "state.json")
    (predictor,) = loaded.predictors()
    expected = OWN_FORMATS[prompt_format].format(
        predictor.signature, predictor.demos, {"question": QUESTION}
    )
    state = json.loads((tmp_path / "state.json").read_text())
    await _ask(dspy_adapter, replace(program, state=state, revision=2))
    await _ask(dspy_adapter, program)
    compiled, fresh = (call.body["messages"] for call in server.completions)
    assert compiled == expected
    assert "Be as kind as you can." in compiled[0]["content"]
    assert len(compiled) > len(fresh) == 2


async def _ask(adapter: DspyAdapter, program: Program) -> None:
    """Run a program, whatever the server's answer in JSON is to its format."""
    try:
        await adapter.execute_program(a_call(program, question=QUESTION))
    except AdapterError as error:
        assert error.type is ErrorType.OUTPUT_INVALID  # noqa: PT017 - only of some formats


async def test_a_state_changes_no_other_program(
    dspy_adapter: DspyAdapter, server: ModelServer
) -> None:
    """Nor the state itself: it is the caller's."""
    state = a_predictor_state("text", "answer")
    plain = a_program("text: string -> answer: string")
    before = json.dumps(state)
    await dspy_adapter.execute_program(a_call(replace(plain, state=state), text="x"))
    await dspy_adapter.execute_program(
        a_call(a_program("text: string -> answer: string"), text="x")
    )
    compiled, other = (call.body["messages"] for call in server.completions)
    assert "Be brief." in compiled[0]["content"]
    assert "Be brief." not in other[0]["content"]
    assert json.dumps(state) == before


async def test_no_module_has_no_shape(dspy_adapter: DspyAdapter) -> None:
    """What cannot be built has no state."""
    with pytest.raises(AdapterError, match="does not run the module 'wat'") as refused:
        await dspy_adapter.module_shape(a_program(module="wat"))
    assert refused.value.type is ErrorType.UNSUPPORTED
