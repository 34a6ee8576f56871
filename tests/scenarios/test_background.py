"""Executions that run in the background, while the processes that run them come and go."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any

import asyncpg
import httpx
import pytest

from app.checkpoints import Checkpoint
from tests.support.peers import Peer, a_mock, peers, until_none_runs, until_running
from tests.support.server import ServerProcess, working
from tests.support.wait import wait_until, wait_until_so

pytestmark = pytest.mark.timeout(180)  # several starts, which a busy machine stretches

API_ONLY = {"DSPATCH_WORKER__EMBEDDED": "false"}
ALONE = {"DSPATCH_WORKER__CONCURRENCY": "1"}
NO_GRACE = {"DSPATCH_SERVER__GRACE_MS": "0"}
LONG_LEASE = {"DSPATCH_PROCESSES__LEASE_MS": "120000"}


@asynccontextmanager
async def workers(
    environment: Mapping[str, str], *own: Mapping[str, str]
) -> AsyncIterator[tuple[Peer, list[ServerProcess]]]:
    """Serve without working, and work once for each of `own`, which are variables besides."""
    async with peers(dict(environment), API_ONLY) as (peer,), AsyncExitStack() as stack:
        started = [
            await stack.enter_async_context(working(environment={**environment, **variables}))
            for variables in own
        ]
        yield peer, started


async def running_peer(url: str, execution_id: str, both: tuple[Peer, ...]) -> tuple[Peer, Peer]:
    """Wait until an execution runs; give the one of two that runs it, and the other."""
    connection = await asyncpg.connect(url)
    query = "SELECT pid FROM processes p JOIN executions e ON e.owner_id = p.id WHERE e.id = $1"

    async def runs() -> bool:
        return await connection.fetchval(query, execution_id) is not None

    try:
        await wait_until_so(runs)
        number = await connection.fetchval(query, execution_id)
    finally:
        await connection.close()
    (runner,) = [one for one in both if one.server.process.pid == number]
    (other,) = [one for one in both if one is not runner]
    return runner, other


def errors(record: Mapping[str, Any]) -> list[str | None]:
    """List how its attempts ended."""
    return [one["error"] and one["error"]["type"] for one in record["attempts"]]


async def test_a_worker_runs_what_a_server_accepts(quick: dict[str, str]) -> None:
    """And ends when it is told to, with what runs: exit code 0, nothing given back."""
    async with workers(quick, {}) as (peer, (worker,)):
        execution_id = await peer.accept(await a_mock(peer.client, 3_000))
        await until_running(peer)
        assert await worker.stop() == 0
        record = await peer.get(execution_id)
    assert (record["status"], errors(record)) == ("completed", [None])
    assert "Traceback" not in worker.output


async def test_a_second_signal_does_not_wait_for_the_grace(quick: dict[str, str]) -> None:
    """What runs is given back, and waits for somebody who works; the process says so by its end."""
    async with workers(quick, {}) as (peer, (worker,)):
        execution_id = await peer.accept(await a_mock(peer.client, 60_000))
        await until_running(peer)
        worker.process.send_signal(signal.SIGTERM)
        await wait_until(lambda: "told to stop: draining" in worker.output, 60)
        assert await worker.stop(signal.SIGINT) == 0
        record = await peer.get(execution_id)
    assert (record["status"], errors(record)) == ("pending", ["cancelled"])


async def test_past_the_grace_what_runs_goes_to_another_at_once(
    quick: dict[str, str], database_url: str
) -> None:
    """Long before the lease of the one that ended is over; the lost attempt is recorded."""
    async with peers(quick | LONG_LEASE | NO_GRACE, {}, {}) as both:
        execution_id = await both[0].accept(await a_mock(both[0].client, 3_000))
        ending, other = await running_peer(database_url, execution_id, both)
        assert await ending.server.stop() == 0
        record = await asyncio.wait_for(other.ended(execution_id), 60)
    assert (record["status"], errors(record)) == ("completed", ["cancelled", None])
    assert "Traceback" not in ending.server.output


async def test_what_a_killed_server_ran_is_run_again(
    quick: dict[str, str], database_url: str
) -> None:
    """By another, with the lost attempt in the record; the client sees one execution."""
    async with peers(quick, {}, {}) as both:
        execution_id = await both[0].accept(await a_mock(both[0].client, 3_000))
        dying, other = await running_peer(database_url, execution_id, both)
        await dying.server.stop(signal.SIGKILL)
        record = await other.ended(execution_id)
        assert len(await other.listed()) == 1
    assert (record["status"], errors(record)) == ("completed", ["worker_crashed", None])


async def test_who_was_frozen_writes_nothing(quick: dict[str, str], database_url: str) -> None:
    """Another has run its execution meanwhile; it goes on under a new id, and works again."""
    async with peers(quick | ALONE, {}, {}) as both:
        program_id = await a_mock(both[0].client, 3_000)
        execution_id = await both[0].accept(program_id)
        frozen, other = await running_peer(database_url, execution_id, both)
        frozen.signal(signal.SIGSTOP)
        record = await other.ended(execution_id)
        frozen.signal(signal.SIGCONT)
        ids = [await other.accept(program_id) for _ in range(2)]
        runners = [(await running_peer(database_url, one, both))[0] for one in ids]
        await asyncio.gather(*(frozen.ended(one) for one in ids))
        after = await frozen.get(execution_id)
    assert errors(record) == ["worker_crashed", None]
    assert after == record
    assert runners[0] is not runners[1]


async def test_two_share_what_waits(quick: dict[str, str], database_url: str) -> None:
    """Each execution is run once, by one of them."""
    async with peers(quick, {}, {}) as both:
        program_id = await a_mock(both[0].client, 200)
        ids = await asyncio.gather(*(both[0].accept(program_id) for _ in range(100)))
        records = [await both[1].ended(one) for one in ids]
    connection = await asyncpg.connect(database_url)
    owners = await connection.fetchval("SELECT count(DISTINCT owner_id) FROM executions")
    await connection.close()
    assert [(one["status"], errors(one)) for one in records] == [("completed", [None])] * 100
    assert owners == 2


async def test_any_server_cancels(quick: dict[str, str], database_url: str) -> None:
    """What runs stops at once and makes room, what waits never runs."""
    async with peers(quick, API_ONLY, ALONE) as (first, second):
        program_id = await a_mock(first.client, 60_000)
        running = await first.accept(program_id)
        await running_peer(database_url, running, (first, second))
        waiting, last = [await first.accept(program_id) for _ in range(2)]
        awaited = asyncio.create_task(second.ended(running))
        for execution_id in (waiting, running):
            answer = await first.client.post(f"/v1/executions/{execution_id}/cancel")
            assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        assert (await awaited)["status"] == "cancelled"
        await running_peer(database_url, last, (first, second))
        await first.client.post(f"/v1/executions/{last}/cancel")
        assert (await second.ended(waiting))["started_at"] is None
        await until_none_runs(second)


ACCEPTED = {Checkpoint.BEFORE_ACCEPT: 0, Checkpoint.ACCEPTED: 1}
"""How many executions there are when a server has been killed there while it accepts one."""


@pytest.mark.long
@pytest.mark.parametrize("checkpoint", ACCEPTED)
async def test_a_crash_in_an_acceptance_leaves_what_it_must(
    quick: dict[str, str], checkpoint: Checkpoint
) -> None:
    """Nothing, or an execution that is run."""
    dies = API_ONLY | {"DSPATCH_CRASH_AT": f"{checkpoint}:1"}
    async with peers(quick, dies, {}) as (first, second):
        program_id = await a_mock(second.client, 0)
        with pytest.raises(httpx.HTTPError):
            await first.accept(program_id)
        assert await first.server.process.wait() == -signal.SIGKILL
        found = await second.listed()
        assert len(found) == ACCEPTED[checkpoint]
        for one in found:
            assert (await second.ended(one["execution_id"]))["status"] == "completed"


CRASHED = {
    Checkpoint.BEFORE_CLAIM: [None],
    Checkpoint.CLAIMED: ["worker_crashed", None],
    Checkpoint.ANSWERED: ["worker_crashed", None],
    Checkpoint.ENDED: [None],
    Checkpoint.BEFORE_GIVE_BACK: ["worker_crashed", None],
    Checkpoint.GIVEN_BACK: ["cancelled", None],
}
"""The attempts of an execution whose process has been killed there."""


@pytest.mark.long
@pytest.mark.parametrize("kind", ["server", "worker"])
@pytest.mark.parametrize("checkpoint", CRASHED)
async def test_a_crash_of_who_works_leaves_what_it_must(
    quick: dict[str, str], checkpoint: Checkpoint, kind: str
) -> None:
    """The execution ends once, as completed, and its record tells of the crash."""
    dies = {"DSPATCH_CRASH_AT": f"{checkpoint}:1"} | NO_GRACE
    is_stopped = checkpoint in {Checkpoint.BEFORE_GIVE_BACK, Checkpoint.GIVEN_BACK}
    async with peers(quick, API_ONLY) as (peer,), AsyncExitStack() as stack:
        if kind == "server":
            (server,) = await stack.enter_async_context(peers(quick | dies, {}))
            dying = server.server
        else:
            dying = await stack.enter_async_context(working(environment=quick | dies))
        execution_id = await peer.accept(await a_mock(peer.client, 3_000 if is_stopped else 0))
        if is_stopped:
            await until_running(peer)
            dying.process.send_signal(signal.SIGTERM)
        assert await dying.process.wait() == -signal.SIGKILL
        async with working(environment=quick):
            record = await peer.ended(execution_id)
        assert len(await peer.listed()) == 1
    assert (record["status"], errors(record)) == ("completed", CRASHED[checkpoint])


@pytest.mark.long
@pytest.mark.parametrize("checkpoint", [Checkpoint.SWEEPING, Checkpoint.SWEPT])
async def test_a_crash_while_it_is_taken_back_is_made_good(
    quick: dict[str, str], checkpoint: Checkpoint
) -> None:
    """By the next that sweeps: one attempt was lost, and one is recorded as lost."""
    dies = API_ONLY | {"DSPATCH_CRASH_AT": f"{checkpoint}:1"}
    async with peers(quick, dies) as (sweeping,):
        program_id = await a_mock(sweeping.client, 60_000)
        async with working(environment=quick) as worker:
            ids = [await sweeping.accept(program_id) for _ in range(3)]
            await until_running(sweeping, 3)
            await worker.stop(signal.SIGKILL)
            assert await sweeping.server.process.wait() == -signal.SIGKILL
        async with peers(quick, API_ONLY) as (other,):
            await until_none_runs(other)
            found = [await other.get(one) for one in ids]
    assert [(one["status"], errors(one)) for one in found] == [("pending", ["worker_crashed"])] * 3


@pytest.mark.long
async def test_what_three_processes_die_of_is_not_run_again(quick: dict[str, str]) -> None:
    """It ends as failed; others run."""
    dies = {"DSPATCH_CRASH_AT": f"{Checkpoint.ANSWERED}:1"}
    async with workers(quick) as (peer, _):
        program_id = await a_mock(peer.client, 0)
        execution_id = await peer.accept(program_id)
        for _ in range(3):
            async with working(environment=quick | dies) as worker:
                assert await worker.process.wait() == -signal.SIGKILL
        record = await peer.ended(execution_id)
        async with working(environment=quick):
            other = await peer.ended(await peer.accept(program_id))
    assert (record["status"], record["outcome"]) == ("failed", "execution_error")
    assert record["error"]["type"] == "worker_crashed"
    assert errors(record) == ["worker_crashed"] * 3
    assert other["status"] == "completed"


@pytest.mark.long
@pytest.mark.parametrize("kind", ["server", "worker"])
async def test_a_killed_process_is_missed_within_twenty_seconds(
    environment: dict[str, str], kind: str, database_url: str
) -> None:
    """By the defaults: from the kill to the moment at which another runs the execution."""
    async with peers(environment, {}, {}) as both, AsyncExitStack() as stack:
        program_id = await a_mock(both[0].client, 60_000)
        if kind == "server":
            execution_id = await both[0].accept(program_id)
            dying, other = await running_peer(database_url, execution_id, both)
            process = dying.server
        else:
            worker = await stack.enter_async_context(working(environment=environment))
            execution_id, process = await _claimed_by(worker, both[0], program_id, database_url)
            other = both[0]
        await process.stop(signal.SIGKILL)
        killed = monotonic()

        async def is_run_again() -> bool:
            record = await other.get(execution_id)
            return record["status"] == "running" and errors(record) == ["worker_crashed"]

        await wait_until_so(is_run_again, 60)
        took_s = monotonic() - killed
        await other.client.post(f"/v1/executions/{execution_id}/cancel")
    print(f"run again {took_s:.1f} s after the kill of a {kind}")  # noqa: T201 - for the page of scenarios
    assert took_s <= 20


async def _claimed_by(
    worker: ServerProcess, peer: Peer, program_id: str, url: str
) -> tuple[str, ServerProcess]:
    """Accept executions until this worker runs one."""
    connection = await asyncpg.connect(url)
    query = """
        SELECT e.id::text FROM executions e JOIN processes p ON p.id = e.owner_id
        WHERE p.pid = $1 AND e.status = 'running'
    """
    try:
        while (found := await connection.fetchval(query, worker.process.pid)) is None:
            await peer.accept(program_id)
    finally:
        await connection.close()
    return found, worker
