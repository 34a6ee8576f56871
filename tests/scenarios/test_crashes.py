"""Servers that share a database miss the one that dies, and nothing is lost with it."""

import asyncio
import signal
from contextlib import suppress
from time import monotonic
from typing import Any

import asyncpg
import httpx
import pytest

from app.checkpoints import Checkpoint
from tests.support.peers import (
    Peer,
    a_mock,
    peers,
    until_counted,
    until_none_runs,
    until_running,
)
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
        later = await first.execute(program_id)
        after = await second.get(execution_id)
        owners = await _owners(database_url)
    assert before["error"]["type"] == "worker_crashed"
    assert after == before
    assert answer.status_code == 502
    assert answer.json()["error"]["type"] == "worker_crashed"
    assert later.json()["status"] == "completed"
    assert len(owners) == 2


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


@pytest.mark.parametrize("checkpoint", LEFT)
async def test_a_crash_in_an_execution_leaves_what_it_must(
    quick: dict[str, str], checkpoint: Checkpoint
) -> None:
    """Nothing before the record, a crash while it runs, the answer after its commit."""
    async with peers(quick, {"DSPATCH_CRASH_AT": f"{checkpoint}:2"}, {}) as (first, second):
        program_id = await a_mock(second.client, 0)
        whole = (await first.execute(program_id)).json()
        with pytest.raises(httpx.HTTPError):
            await first.execute(program_id)
        assert await first.server.process.wait() == -signal.SIGKILL
        await until_none_runs(second)
        *found, before = await second.listed()
        assert (await second.execute(program_id)).json()["status"] == "completed"
    assert (before["execution_id"], before["status"]) == (whole["execution_id"], "completed")
    assert [one["status"] for one in found] == LEFT[checkpoint]


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


async def _ask_on(peer: Peer, program_id: str, answers: list[httpx.Response]) -> None:
    """Execute until the server is gone, keeping what it acknowledged."""
    with suppress(httpx.HTTPError):
        while True:
            answers.append(await peer.execute(program_id))


@pytest.mark.parametrize(
    ("variables", "within_s"),
    [
        pytest.param({}, 15.0, id="a lease of three seconds"),
        pytest.param(DEFAULTS, 30.0, id="the defaults", marks=LONG),
    ],
)
async def test_one_of_two_is_killed_under_load(
    quick: dict[str, str], variables: dict[str, str], within_s: float
) -> None:
    """What was acknowledged is there, nothing is left running in time, the other serves on."""
    async with peers(quick | variables, {}, {}) as (first, second):
        program_id = await a_mock(second.client, 100)
        dying: list[httpx.Response] = []
        living: list[httpx.Response] = []
        asking = [
            asyncio.create_task(_ask_on(peer, program_id, answers))
            for peer, answers in [(first, dying), (second, living)] * CLIENTS
        ]
        await wait_until(lambda: len(dying) > 10 * CLIENTS)
        await first.server.stop(signal.SIGKILL)
        killed = monotonic()
        lost = await _until_crashed(second)
        took_s = monotonic() - killed
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        await until_none_runs(second)
        records = {one["execution_id"]: one["status"] for one in await second.listed()}
        await until_counted(second, program_id, len(records))
    assert took_s < within_s
    assert {answer.status_code for answer in dying + living} == {200}
    acknowledged = [answer.json()["execution_id"] for answer in dying + living]
    assert {records[execution_id] for execution_id in acknowledged} == {"completed"}
    assert len(set(acknowledged)) == len(acknowledged)
    assert 0 < len(lost) <= CLIENTS
    assert not lost & set(acknowledged)
    assert set(records.values()) <= {"completed", "failed", "cancelled"}
    assert list(records.values()).count("failed") == len(lost)


async def _until_crashed(peer: Peer) -> set[str]:
    """Wait until the executions of the dead server have ended; give their ids."""

    async def are_ended() -> bool:
        return bool(await peer.listed("failed"))

    await wait_until_so(are_ended, 40)
    return {one["execution_id"] for one in await peer.listed("failed")}
