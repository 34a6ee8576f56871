"""Compiled states over HTTP."""

import json
import pickle
from pathlib import Path
from typing import Any

import dspy  # type: ignore[import-untyped]
import httpx
import pytest

from app.actions.program_states import ProgramStates
from app.adapters.mock import MockAdapter
from app.adapters.registry import AdapterRegistry
from app.adapters.setup import AdapterSetup
from app.errors import StateUnavailableError
from tests.adapters.programs import a_program
from tests.support.factories import post_execution, post_program, program_body
from tests.support.states import METADATA, a_predictor_state, a_state


def _path(program: dict[str, Any], rest: str = "/state") -> str:
    return f"/v1/programs/{program['program_id']}{rest}"


async def test_a_fresh_state_is_what_dspy_saves(client: httpx.AsyncClient, tmp_path: Path) -> None:
    """And what DSPy loads."""
    program = await post_program(client)
    state = (await client.get(_path(program))).json()
    assert list(state) == ["traces", "train", "demos", "signature", "lm", "metadata"]
    (tmp_path / "state.json").write_text(json.dumps(state))
    module = dspy.Predict("question -> answer", "x")
    module.load(tmp_path / "state.json")
    assert module.dump_state() == {name: state[name] for name in state if name != "metadata"}


async def test_an_uploaded_state_is_a_new_revision(client: httpx.AsyncClient) -> None:
    """It comes back as it was; executions run on its revision."""
    program = await post_program(client)
    answer = await client.put(_path(program), json=a_state())
    assert (answer.status_code, answer.json()["revision"]) == (200, 2)
    assert (answer.json()["status"], answer.json()["prepared"]) == ("ready", True)
    assert answer.json()["config"] == program["config"]
    assert (await client.get(_path(program))).json() == a_state()
    assert (await post_execution(client, program)).json()["program_revision"] == 2
    revisions = (await client.get(_path(program, "/revisions"))).json()["items"]
    assert [one["state"] for one in revisions] == [a_state(), None]
    assert (await client.put(_path(program), json=a_state())).json()["revision"] == 3


async def test_a_state_is_kept_by_other_changes_and_rolled_back(client: httpx.AsyncClient) -> None:
    """It is part of the revision."""
    program = await post_program(client, state=a_state())
    fresh = await post_program(client, name="fresh")
    await client.patch(_path(program, ""), json={"config": {"mock": {}}})
    assert (await client.get(_path(program))).json() == a_state()
    await client.put(_path(fresh), json=a_state())
    await client.post(_path(fresh, "/revisions/1/restore"))
    assert (await client.get(_path(fresh))).json()["demos"] == []


async def test_a_program_may_come_with_its_state(client: httpx.AsyncClient) -> None:
    """It is part of the first revision."""
    state = {
        "predict": a_predictor_state("question", "reasoning", "answer"),
        "metadata": METADATA,
    }
    program = await post_program(client, module="chain_of_thought", state=state)
    assert (program["revision"], program["status"]) == (1, "ready")
    assert (await client.get(_path(program))).json() == state


async def test_a_program_with_a_state_that_does_not_fit_is_422(client: httpx.AsyncClient) -> None:
    """The places are those within the body; there is no program then."""
    body = await program_body(client, state=a_state("question", demos=[{"wat": 1}]))
    answer = await client.post("/v1/programs", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-state")
    paths = [fault["path"] for fault in answer.json()["errors"]]
    assert paths == ["/state/demos/0/wat", "/state/signature/fields"]
    assert (await client.get("/v1/programs")).json()["items"] == []


async def test_every_fault_of_a_state_has_its_place(client: httpx.AsyncClient) -> None:
    """Fields, predictors and whatever is no state, at once; nothing has changed."""
    program = await post_program(client)
    state = a_state("question", demos=[{"wat": 1}], module_class="os.system", lm={"engine": {}})
    answer = await client.put(_path(program), json=state)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-state")
    assert {fault["path"] for fault in answer.json()["errors"]} == {
        "/demos/0/wat",
        "/lm/engine",
        "/module_class",
        "/signature/fields",
    }
    assert (await client.get(_path(program, ""))).json() == program


@pytest.mark.parametrize("state", [None, [], "x", 5])
async def test_a_state_is_an_object(client: httpx.AsyncClient, state: Any) -> None:
    """Anything else does not fit the contract."""
    program = await post_program(client)
    answer = await client.put(_path(program), json=state)
    assert answer.status_code == 422


async def test_pickles_are_refused(client: httpx.AsyncClient) -> None:
    """By their media type, and as what is no JSON."""
    program = await post_program(client)
    content = pickle.dumps(a_state())
    for media_type, status in {
        "application/octet-stream": 415,
        "application/x-pickle": 415,
        "application/json": 400,
    }.items():
        headers = {"Content-Type": media_type}
        answer = await client.put(_path(program), content=content, headers=headers)
        assert answer.status_code == status
    assert (await client.get(_path(program, ""))).json()["revision"] == 1


async def test_an_archived_program_takes_no_state(client: httpx.AsyncClient) -> None:
    """It can still be read."""
    program = await post_program(client)
    await client.post(_path(program, "/archive"))
    answer = await client.put(_path(program), json=a_state())
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/invalid-transition")
    assert (await client.get(_path(program))).status_code == 200


async def test_a_module_that_cannot_be_built_has_no_state(client: httpx.AsyncClient) -> None:
    """409 `state-unavailable` says why, for reading and for writing."""
    program = await post_program(client, module="wat")
    for answer in (
        await client.get(_path(program)),
        await client.put(_path(program), json=a_state()),
    ):
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/state-unavailable")
        assert "does not run the module 'wat'" in answer.json()["detail"]


async def test_where_nobody_builds_modules_there_is_no_state() -> None:
    """An installation whose adapters all run elsewhere says so."""
    states = ProgramStates(AdapterRegistry([MockAdapter(AdapterSetup("mock"))]))
    with pytest.raises(StateUnavailableError, match="no adapter here builds modules"):
        await states.fresh("mock", a_program())
