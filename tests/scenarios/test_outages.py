"""PostgreSQL goes away under load, in every way that it can, and comes back."""

import asyncio
import signal
import zlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import cycle, islice
from random import Random
from time import monotonic

import httpx
import pytest
from pydantic import SecretStr
from typing_extensions import override

from app.database import Database
from app.local.postgres import LocalPostgres
from app.settings import DatabaseSettings
from app.stores.notices import CHANNEL
from tests.support.load import INPUTS, Load, answers
from tests.support.outages import Outage, frozen, killed, stopped
from tests.support.peers import Peer, a_mock, peers, until_running
from tests.support.truth import asked, counted, forbid_second_ends, require_truth, until_at_rest
from tests.support.wait import wait_until, wait_until_so

CLIENTS = 8
LATENCY_MS = 50
TIMES = 20
LONGEST_S = 8.0
UNREADY_WITHIN_S = 5.0
BACK_WITHIN_S = 10.0
REFUSED_WITHIN_S = 18.0
"""A wait for a connection, a statement, the hang after it, and the goodbye: 2 + 10 + 2 + 2 s."""
ENDED_WITHIN_S = 15.0
"""How much longer than delay and grace an end may take: docs/howto/start-and-stop.md."""

PATIENT = {"execution_options": {"timeout": 600_000, "deadline_ms": 600_000, "max_retries": 0}}


@pytest.fixture
async def url(own_postgres: LocalPostgres, request: pytest.FixtureRequest) -> str:
    """A new database, whose server may go away; it takes no second end of a record."""
    name = f"t{zlib.crc32(request.node.name.encode())}"
    await own_postgres.ensure_database(name)
    url = own_postgres.url(name)
    await Database.migrate(DatabaseSettings(url=SecretStr(url)))
    await forbid_second_ends(url)
    return url


class Patient:
    """A server under load, whose database goes away; how long each step took, at most."""

    def __init__(self, peer: Peer, load: Load, url: str) -> None:
        self.unready_s = self.back_s = 0.0
        self.peer = peer
        self.load = load
        self._url = url

    @property
    def refused_s(self) -> float:
        """How long the slowest refusal took."""
        return max(call.took_s for call in self.load.calls if call.status == 503)

    @override
    def __str__(self) -> str:
        return (
            f"{answers(self.load.calls)}: unready after {self.unready_s:.1f} s, refused after"
            f" {self.refused_s:.1f} s, back after {self.back_s:.1f} s, each at most"
        )

    async def until_unready(self) -> None:
        """Wait until it says that it cannot serve."""
        began = monotonic()
        await self._until_ready_is(503)
        self.unready_s = max(self.unready_s, monotonic() - began)

    async def until_well(self) -> None:
        """Wait until it serves, and does all that it does by itself."""
        began = monotonic()
        await self._until_ready_is(200)
        await self.until_served()
        self.back_s = max(self.back_s, monotonic() - began)
        await self._until_all_goes_on()

    async def until_served(self) -> None:
        """Wait until each client may have been served."""
        served = self.load.served
        await wait_until(lambda: self.load.served > served + CLIENTS, 30)

    async def _until_ready_is(self, status: int) -> None:
        async def is_so() -> bool:
            return (await self.peer.client.get("/readyz")).status_code == status

        await wait_until_so(is_so)

    async def _until_all_goes_on(self) -> None:
        """Wait for its next heartbeat, and for what it says of a notice that is none of ours."""
        beats = "SELECT count(*) FROM processes WHERE pid = $1 AND heartbeat_at > $2"
        now = await asked(self._url, "SELECT now()")
        before = self.peer.server.output.count("not understood")

        async def goes_on() -> bool:
            await asked(self._url, "SELECT pg_notify($1, 'Is anybody there?')", CHANNEL)
            heard = self.peer.server.output.count("not understood") > before
            return heard and await asked(self._url, beats, self.peer.server.process.pid, now) == 1

        await wait_until_so(goes_on)


async def _survive(
    patients: Sequence[Patient], outage: Outage, database: LocalPostgres, lasting_s: float
) -> None:
    """Have an outage, from well to well again."""
    await asyncio.gather(*(each.until_served() for each in patients))
    async with outage(database):
        await asyncio.gather(*(each.until_unready() for each in patients))
        await asyncio.sleep(lasting_s)
    await asyncio.gather(*(each.until_well() for each in patients))


async def _require_survival(
    environment: dict[str, str],
    url: str,
    database: LocalPostgres,
    course: Sequence[tuple[Outage, float]],
    slow_s: float,
    *own: dict[str, str],
) -> Sequence[Patient]:
    """Have servers go through outages under load; require that nothing is lost and all is said.

    Meanwhile an execution runs for `slow_s`, longer than a lease.
    """
    environment = environment | {"DSPATCH_DATABASE__URL": url}
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(peers(environment, *own))
        client = opened[0].client
        program_id = await a_mock(client, LATENCY_MS)
        path = f"/v1/programs/{program_id}/executions"
        slow = asyncio.create_task(_execute_slowly(client, slow_s))
        patients = [
            Patient(peer, await stack.enter_async_context(load), url)
            for peer in opened
            for load in [Load(path, peer.server.base_url, CLIENTS)]
        ]
        for outage, lasting_s in course:
            await _survive(patients, outage, database, lasting_s)
        for each in patients:
            await each.load.stop()
        assert (await slow).json()["status"] == "completed"
        await until_at_rest(url)
        calls = [call for each in patients for call in each.load.calls]
        rows = await require_truth(url, client, program_id, calls)
        assert sum([await counted(each.client) for each in opened]) == len(rows) + 1
        assert [each.server.process.returncode for each in opened] == [None] * len(opened)
    for each in patients:
        print(each, *each.peer.server.tracebacks, sep="\n")  # noqa: T201 - for the page of scenarios
        assert each.peer.server.tracebacks == []
        assert "alembic" not in each.peer.server.output
    assert [call for call in calls if not call.is_honest] == []
    acknowledged = [call.execution_id for call in calls if call.status == 200]
    assert len(set(acknowledged)) == len(acknowledged)
    return patients


async def _execute_slowly(client: httpx.AsyncClient, slow_s: float) -> httpx.Response:
    """Execute what takes so long, in one attempt."""
    program_id = await a_mock(client, round(slow_s * 1_000), "slow")
    path = f"/v1/programs/{program_id}/executions"
    return await client.post(path, json=INPUTS | PATIENT, timeout=600)


async def test_nothing_is_lost_while_the_database_is_away(
    quick: dict[str, str], url: str, own_postgres: LocalPostgres
) -> None:
    """Stopped, killed, frozen: 503 with Retry-After meanwhile, then all goes on by itself."""
    impatient = {
        "DSPATCH_DATABASE__POOL_TIMEOUT_MS": "1000",
        "DSPATCH_DATABASE__STATEMENT_TIMEOUT_MS": "700",
        "DSPATCH_DATABASE__HANG_TIMEOUT_MS": "300",
    }
    course = [(outage, 1.0) for outage in (stopped, killed, frozen)]
    await _require_survival(quick | impatient, url, own_postgres, course, 8, {})


@pytest.mark.long
@pytest.mark.timeout(1_200)
async def test_nothing_is_lost_in_twenty_outages(
    quick: dict[str, str], url: str, own_postgres: LocalPostgres
) -> None:
    """Two servers; half by SIGKILL, some longer than a lease; each time back within 10 s.

    Neither gives up the other: an outage is nobody's death.
    """
    random = Random(20)  # noqa: S311 - any course will do, but each time the same
    outages = islice(cycle((stopped, killed)), TIMES)
    course = [(outage, random.uniform(0, LONGEST_S)) for outage in outages]
    patients = await _require_survival(quick, url, own_postgres, course, 90, {}, {})
    assert max(each.unready_s for each in patients) < UNREADY_WITHIN_S
    assert max(each.back_s for each in patients) < BACK_WITHIN_S


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_database_that_hangs_is_waited_for_as_long_as_said(
    environment: dict[str, str], url: str, own_postgres: LocalPostgres
) -> None:
    """By the defaults, for less than the limit and for more: refusals come in time."""
    course = [(frozen, 10.0), (frozen, 20.0)]
    patients = await _require_survival(environment, url, own_postgres, course, 40, {}, {})
    assert max(each.unready_s for each in patients) < UNREADY_WITHIN_S
    assert max(each.back_s for each in patients) < BACK_WITHIN_S
    assert max(each.refused_s for each in patients) < REFUSED_WITHIN_S


@pytest.mark.long
async def test_a_database_that_hangs_does_not_hold_the_end(
    environment: dict[str, str], url: str, own_postgres: LocalPostgres
) -> None:
    """By the defaults, what cannot be recorded in time is lost, and the process ends."""
    hasty = {"DSPATCH_SERVER__GRACE_MS": "0", "DSPATCH_DATABASE__URL": url}
    async with peers(environment | hasty, {}) as (peer,):
        answering = peer.execute(await a_mock(peer.client, 60_000))
        await until_running(peer)
        async with frozen(own_postgres):
            began = monotonic()
            assert await peer.server.stop(signal.SIGTERM) == 0
            took_s = monotonic() - began
        await asyncio.gather(answering, return_exceptions=True)
    print(f"ended within {took_s:.1f} s")  # noqa: T201 - for the page of scenarios
    assert took_s < ENDED_WITHIN_S
