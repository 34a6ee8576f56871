"""Servers that share a database miss the one that dies, and nothing is lost with it."""

import asyncio
import signal
from collections import Counter
from time import monotonic
from typing import Any

import asyncpg
import httpx
import pytest

from app.checkpoints import Checkpoint
from tests.support.load import Load
from tests.support.peers import (
    Peer,
    a_mock,
    peers,
    until_counted,
    until_none_runs,
    until_running,
)
from tests.support.truth import require_truth, until_at_rest
from tests.support.wait import wait_until, wait_until_so

LONG = (pytest.mark.long, pytest.mark.timeout(180))
DEFAULTS = {
    "DSPATCH_PROCESSES__HEARTBEAT_MS": "5000",
    "DSPATCH_PROCESSES__LEASE_MS": "15000",
    "DSPATCH_PROCESSES__SWEEP_MS": "4000",
}


async def test_what_a_killed_server_ran_is_ended_by_the_other(quick: dict[str, str]) -> None:
    """As a crash of the worker; what the living one runs is left alone."""
    async with peers(quick, {}, {}) as (first, second):
        program_id = await a_mock(first.client, 10_000)
        lost, kept = first.execute(program_id), second.execute(program_id)
        await until_running(second, 2)
        await first.server.stop(signal.SIGKILL)
        with pytest.raises(httpx.HTTPError):
            await lost
        assert (await kept).json()["status"] == "completed"
        await until_none_runs(second)
        (record,) = await second.listed("failed")
    assert record["outcome"] == "execution_error"
    assert record["error"]["type"] == "worker_crashed"
    assert record["finished_at"] is not None


async def test_a_server_that_was_frozen_writes_nothing_to_what_was_ended(
    quick: dict[str, str], database_url: str
) -> None:
    """It wakes with an answer for a record that is ended, tells its client so, and works on.

    Its new work goes under a new identity.
    """
    async with peers(quick, {}, {}) as (first, second):
        program_id = await a_mock(first.client, 4_000)
        answering = first.execute(program_id)
        (execution_id,) = await until_running(second)
        first.signal(signal.SIGSTOP)
        await until_none_runs(second)
        before = await second.get(execution_id)
        first.signal(signal.SIGCONT)
        answer = await answering
        later = await _until_served(first, program_id)
        after = await second.get(execution_id)
        owners = await _owners(database_url)
    assert before["error"]["type"] == "worker_crashed"
    assert after == before
    assert answer.status_code == 502
    assert answer.json()["error"]["type"] == "worker_crashed"
    assert later.json()["status"] == "completed"
    assert len(owners) == 2


async def _until_served(peer: Peer, program_id: str) -> httpx.Response:
    """Execute; a server that has just woken may say for a moment that it begins nothing yet."""
    while (answer := await peer.execute(program_id)).status_code == httpx.codes.SERVICE_UNAVAILABLE:
        pass
    return answer


async def _owners(url: str) -> set[Any]:
    """Give the owners of all executions."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT DISTINCT owner_id FROM executions")
        return {row["owner_id"] for row in rows}
    finally:
        await connection.close()


LEFT = {
    Checkpoint.BEFORE_BEGIN: [],
    Checkpoint.BEGUN: ["failed"],
    Checkpoint.ANSWERED: ["failed"],
    Checkpoint.ENDED: ["completed"],
}
"""What is left of an execution whose process is killed at each place."""

HEARD = {
    Checkpoint.BEFORE_BEGIN: (200, None),
    Checkpoint.BEGUN: (502, "true"),
    Checkpoint.ANSWERED: (502, "true"),
    Checkpoint.ENDED: (200, "true"),
}
"""What is answered, replayed or not, to who asks again under the key of that execution."""

CRASHES = [(checkpoint, key) for checkpoint in LEFT for key in (None, str(checkpoint))]


async def test_a_crash_in_an_execution_leaves_what_it_must(quick: dict[str, str]) -> None:
    """Nothing before the record, a crash while it runs, the answer after its commit.

    So with an idempotency key as without; under it, who asks again is told what came of it, or
    has it done now.
    """
    async with peers(quick, {}) as (living,):
        program_id = await a_mock(living.client, 0)
        new = {crash: await _crash(quick, living, program_id, *crash) for crash in CRASHES}
        await until_none_runs(living)
        status = {one["execution_id"]: one["status"] for one in await living.listed()}
        again = {each: await living.execute(program_id, **_headers(each)) for each in LEFT}
        await until_counted(living, program_id, len(status) + 1)
    assert {crash: [status[one] for one in ids] for crash, ids in new.items()} == {
        (checkpoint, key): LEFT[checkpoint] for checkpoint, key in CRASHES
    }
    assert {
        checkpoint: (answer.status_code, answer.headers.get("Idempotency-Replayed"))
        for checkpoint, answer in again.items()
    } == HEARD


def _headers(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": key} if key else {}


async def _crash(
    quick: dict[str, str], living: Peer, program_id: str, checkpoint: Checkpoint, key: str | None
) -> list[str]:
    """Have the second execution of a new server crash; give the ids of what it leaves."""
    async with peers(quick, {"DSPATCH_CRASH_AT": f"{checkpoint}:2"}) as (dying,):
        assert (await dying.execute(program_id)).status_code == 200
        before = {one["execution_id"] for one in await living.listed()}
        with pytest.raises(httpx.HTTPError):
            await dying.execute(program_id, **_headers(key))
        assert await dying.server.process.wait() == -signal.SIGKILL
    return [
        one["execution_id"] for one in await living.listed() if one["execution_id"] not in before
    ]


@pytest.mark.parametrize(
    ("checkpoint", "code", "status"),
    [(Checkpoint.BEFORE_CANCEL, 200, "completed"), (Checkpoint.CANCELLED, 409, "cancelled")],
)
async def test_a_crash_in_a_cancellation_leaves_what_it_must(
    quick: dict[str, str], checkpoint: Checkpoint, code: int, status: str
) -> None:
    """Nothing before its commit; after it, who runs the execution finds out though nobody told."""
    async with peers(quick, {"DSPATCH_CRASH_AT": f"{checkpoint}:1"}, {}) as (first, second):
        answering = second.execute(await a_mock(second.client, 5_000))
        (execution_id,) = await until_running(second)
        with pytest.raises(httpx.HTTPError):
            await first.client.post(f"/v1/executions/{execution_id}/cancel")
        assert await first.server.process.wait() == -signal.SIGKILL
        assert (await answering).status_code == code
        assert (await second.get(execution_id))["status"] == status


@pytest.mark.parametrize("checkpoint", [Checkpoint.SWEEPING, Checkpoint.SWEPT])
async def test_a_crash_in_a_sweep_is_made_good_by_the_next(
    quick: dict[str, str], checkpoint: Checkpoint
) -> None:
    """Whether it was committed or not, each execution of the dead ends once."""
    dies = {"DSPATCH_CRASH_AT": f"{checkpoint}:1"}
    async with peers(quick, {}, dies) as (first, second):
        program_id = await a_mock(second.client, 60_000)
        lost = [first.execute(program_id) for _ in range(3)]
        await until_running(second, 3)
        await first.server.stop(signal.SIGKILL)
        assert await second.server.process.wait() == -signal.SIGKILL
        async with peers(quick, {}) as (third,):
            await until_none_runs(third)
            found = await third.listed()
            await until_counted(third, program_id, 3)
        await asyncio.gather(*lost, return_exceptions=True)
    assert [one["error"]["type"] for one in found] == ["worker_crashed"] * 3


CLIENTS = 8
"""So many clients ask each server, one request after the other."""


@pytest.mark.parametrize(
    ("variables", "within_s"),
    [
        pytest.param({}, 15.0, id="a lease of three seconds"),
        pytest.param(DEFAULTS, 30.0, id="the defaults", marks=LONG),
    ],
)
async def test_one_of_two_is_killed_under_load(
    quick: dict[str, str], database_url: str, variables: dict[str, str], within_s: float
) -> None:
    """What was acknowledged is there, nothing is left running in time, the other serves on."""
    async with peers(quick | variables, {}, {}) as (first, second):
        program_id = await a_mock(second.client, 100)
        path = f"/v1/programs/{program_id}/executions"
        async with (
            Load(path, first.server.base_url, CLIENTS) as dying,
            Load(path, second.server.base_url, CLIENTS) as living,
        ):
            await wait_until(lambda: dying.served > 5 * CLIENTS, 30)
            await first.server.stop(signal.SIGKILL)
            killed = monotonic()
            lost = await _until_crashed(second)
            took_s = monotonic() - killed
        await until_at_rest(database_url)
        calls = dying.calls + living.calls
        rows = await require_truth(database_url, second.client, program_id, calls)
    assert took_s < within_s
    assert {call.status for call in living.calls} == {200}
    acknowledged = [call.execution_id for call in calls if call.status == 200]
    assert len(set(acknowledged)) == len(acknowledged)
    assert 0 < len(lost) <= CLIENTS
    assert Counter(row["status"] for row in rows.values()) == {
        "completed": len(rows) - len(lost),
        "failed": len(lost),
    }


async def _until_crashed(peer: Peer) -> set[str]:
    """Wait until the executions of the dead server have ended; give their ids."""

    async def are_ended() -> bool:
        return bool(await peer.listed("failed"))

    await wait_until_so(are_ended, 40)
    return {one["execution_id"] for one in await peer.listed("failed")}
