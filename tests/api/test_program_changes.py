"""What becomes of programs over HTTP: changes, roll-backs, retirement, figures."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.factories import post_execution, post_program

LYON = {"mock": {"outputs": {"answer": "Lyon"}}}
BROKEN = {"mock": {"latency_ms": -1}}


def _path(program: dict[str, Any], rest: str = "") -> str:
    return f"/v1/programs/{program['program_id']}{rest}"


async def _patch(client: httpx.AsyncClient, program: dict[str, Any], body: Any) -> httpx.Response:
    return await client.patch(_path(program), json=body)


async def test_a_changed_config_is_a_new_revision(client: httpx.AsyncClient) -> None:
    """Executions run on it, and say so."""
    program = await post_program(client)
    before = (await post_execution(client, program)).json()
    answer = await _patch(client, program, {"config": LYON})
    changed = answer.json()
    assert answer.status_code == 200
    assert (changed["revision"], changed["config"], changed["status"]) == (2, LYON, "ready")
    assert changed["prepared"] is True
    after = (await post_execution(client, program)).json()
    assert (before["program_revision"], before["outputs"]) == (1, {"answer": "Paris"})
    assert (after["program_revision"], after["outputs"]) == (2, {"answer": "Lyon"})
    revisions = (await client.get(_path(program, "/revisions"))).json()["items"]
    assert [(one["revision"], one["config"]) for one in revisions] == [
        (2, LYON),
        (1, program["config"]),
    ]
    assert (await client.get(_path(program))).json()["updated_at"] > program["updated_at"]


async def test_words_about_a_program_are_no_new_revision(client: httpx.AsyncClient) -> None:
    """Nor are an adapter and a config that it has already."""
    program = await post_program(client)
    words = {
        "adapter": "mock",
        "config": program["config"],
        "description": "It answers.",
        "metadata": {"team": "a"},
        "retention": {"failed_days": 1},
    }
    changed = (await _patch(client, program, words)).json()
    assert changed["revision"] == 1
    assert changed["retention"] == {
        "completed_days": None,
        "failed_days": 1,
        "cancelled_days": None,
    }
    assert (changed["description"], changed["metadata"]) == ("It answers.", {"team": "a"})
    assert (await _patch(client, program, {})).json()["description"] == "It answers."


async def test_null_clears_the_retention(client: httpx.AsyncClient) -> None:
    """And leaves everything else."""
    program = await post_program(client, retention={"failed_days": 1}, description="Kept.")
    changed = (await _patch(client, program, {"retention": None})).json()
    assert (changed["retention"], changed["description"]) == (None, "Kept.")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"adapter": None}, "/adapter"),
        ({"adapter": "nobody"}, "/adapter"),
        ({"adapter": ""}, "/adapter"),
        ({"config": None}, "/config"),
        ({"config": []}, "/config"),
        ({"description": None}, "/description"),
        ({"metadata": None}, "/metadata"),
        ({"retention": {"completed_days": -1}}, "/retention/completed_days"),
        ({"name": "other"}, "/name"),
        ({"module": "predict"}, "/module"),
        ({"state": {}}, "/state"),
    ],
)
async def test_what_cannot_be_changed_is_422(
    client: httpx.AsyncClient, body: Any, path: str
) -> None:
    """With its place; nothing has changed."""
    program = await post_program(client)
    answer = await _patch(client, program, body)
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["errors"]] == [path]
    assert (await client.get(_path(program))).json() == program


async def test_a_config_that_cannot_be_prepared_is_rolled_back(client: httpx.AsyncClient) -> None:
    """The program is in error, says why, and its first revision brings it back."""
    program = await post_program(client)
    broken = (await _patch(client, program, {"config": BROKEN})).json()
    assert (broken["revision"], broken["status"], broken["prepared"]) == (2, "error", False)
    assert "config.mock.latency_ms" in broken["error"]
    answer = await client.post(_path(program, "/revisions/1/restore"))
    restored = answer.json()
    assert (answer.status_code, restored["revision"]) == (200, 3)
    assert (restored["status"], restored["error"]) == ("ready", None)
    assert restored["config"] == program["config"]
    assert (await post_execution(client, program)).json()["program_revision"] == 3


async def test_a_draft_is_changed_and_restored_without_being_prepared(
    client: httpx.AsyncClient,
) -> None:
    """It stays a draft until it is initialized."""
    program = await post_program(client, BROKEN["mock"], initialize=False)
    changed = (await _patch(client, program, {"config": LYON})).json()
    assert (changed["status"], changed["revision"], changed["prepared"]) == ("draft", 2, False)
    restored = (await client.post(_path(program, "/revisions/2/restore"))).json()
    assert (restored["status"], restored["revision"], restored["config"]) == ("draft", 3, LYON)
    ready = (await client.post(_path(program, "/initialize"))).json()
    assert (ready["status"], ready["prepared"]) == ("ready", True)


async def test_an_unknown_revision_is_404(client: httpx.AsyncClient) -> None:
    """`revision-not-found`; a number that none can have is 422."""
    program = await post_program(client)
    answer = await client.post(_path(program, "/revisions/2/restore"))
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/revision-not-found")
    for number in ("0", "-1", "x", str(2**31)):
        answer = await client.post(_path(program, f"/revisions/{number}/restore"))
        assert answer.status_code == 422
        assert [fault["path"] for fault in answer.json()["errors"]] == ["/path/revision"]


async def test_an_archived_program_is_retired(client: httpx.AsyncClient) -> None:
    """Nothing changes or runs it; its records stay, and its name is free."""
    program = await post_program(client)
    run = (await post_execution(client, program)).json()
    answer = await client.post(_path(program, "/archive"))
    assert (answer.status_code, answer.json()["status"]) == (200, "archived")
    assert answer.json()["prepared"] is False
    refused = [
        await client.post(_path(program, "/archive")),
        await client.post(_path(program, "/initialize")),
        await client.post(_path(program, "/revisions/1/restore")),
        await _patch(client, program, {"description": "New."}),
    ]
    assert {(one.status_code, one.json()["type"]) for one in refused} == {
        (409, "/problems/invalid-transition")
    }
    not_run = await post_execution(client, program)
    assert (not_run.status_code, not_run.json()["program_status"]) == (409, "archived")
    assert (await client.get(f"/v1/executions/{run['execution_id']}")).json() == run
    assert (await post_program(client))["name"] == program["name"]


@pytest.mark.parametrize("path", ["/archive", "/revisions/1/restore"])
async def test_an_unknown_program_is_404(client: httpx.AsyncClient, path: str) -> None:
    """Whatever is asked of it."""
    program = {"program_id": str(uuid4())}
    answer = await client.post(_path(program, path))
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/program-not-found")
    for rest in ("/state", "/statistics"):
        assert (await client.get(_path(program, rest))).status_code == 404
    assert (await _patch(client, program, {})).status_code == 404


async def test_statistics_are_those_of_the_records(client: httpx.AsyncClient) -> None:
    """Of the whole life, or of a window of it."""
    program = await post_program(client)
    path = _path(program, "/statistics")
    nothing = (await client.get(path)).json()
    assert nothing["execution_count"] == 0
    assert nothing["last_executed_at"] is None
    assert nothing["duration_ms"] == {"mean": None, "p50": None, "p95": None, "p99": None}
    await _patch(client, program, {"config": {"mock": {"error": {"type": "authentication"}}}})
    await post_execution(client, program)
    await _patch(client, program, {"config": LYON})
    for _ in range(2):
        await post_execution(client, program)
    figures = (await client.get(path)).json()
    assert list(figures) == [
        "execution_count",
        "last_executed_at",
        "by_status",
        "by_error",
        "duration_ms",
        "usage",
    ]
    assert figures["execution_count"] == 3
    assert figures["last_executed_at"].endswith("Z")
    assert figures["by_status"] == {
        "pending": 0,
        "running": 0,
        "completed": 2,
        "failed": 1,
        "cancelled": 0,
    }
    assert figures["by_error"] == {"authentication": 1}
    shares = figures["duration_ms"]
    assert 0 <= shares["p50"] <= shares["p95"] <= shares["p99"]
    assert figures["usage"]["lm_calls"] == 3
    assert (await client.get(path, params={"window_ms": 3_600_000})).json() == figures


@pytest.mark.parametrize("window", ["0", "-1", "x", "1e9", "4000000000000000"])
async def test_a_window_that_is_none_is_422(client: httpx.AsyncClient, window: str) -> None:
    """It is a number of milliseconds, up to a hundred years."""
    program = await post_program(client)
    answer = await client.get(_path(program, "/statistics"), params={"window_ms": window})
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["errors"]] == ["/query/window_ms"]
