"""PostgreSQL goes away under load, in every way that it can, and comes back."""

import asyncio
from collections.abc import Sequence
from itertools import cycle, islice
from random import Random
from time import monotonic

import pytest
from pydantic import SecretStr
from typing_extensions import override

from app.database import Database
from app.local.postgres import LocalPostgres
from app.settings import DatabaseSettings
from app.stores.notices import CHANNEL
from tests.support.load import Load, answers
from tests.support.outages import Outage, frozen, killed, stopped
from tests.support.peers import Peer, a_mock, peers
from tests.support.truth import asked, counted, require_truth, until_at_rest
from tests.support.wait import wait_until, wait_until_so

CLIENTS = 8
LATENCY_MS = 50
TIMES = 20
LONGEST_S = 5.0
UNREADY_WITHIN_S = 5.0
BACK_WITHIN_S = 10.0
REFUSED_WITHIN_S = 18.0
"""A wait for a connection, a statement, the hang after it, and the goodbye: 2 + 10 + 2 + 2 s."""

LONG = {"DSPATCH_PROCESSES__HEARTBEAT_MS": "5000", "DSPATCH_PROCESSES__LEASE_MS": "15000"}


@pytest.fixture
async def url(own_postgres: LocalPostgres) -> str:
    """The address of a database whose server may go away."""
    url = own_postgres.url("postgres")
    await Database.migrate(DatabaseSettings(url=SecretStr(url)))
    return url


class Patient:
    """A server under load, whose database goes away; how long each step took, at most."""

    def __init__(self, peer: Peer, load: Load, url: str) -> None:
        self.unready_s = self.back_s = self.refused_s = 0.0
        self._peer = peer
        self._load = load
        self._url = url

    @override
    def __str__(self) -> str:
        return (
            f"unready after {self.unready_s:.1f} s, refused after {self.refused_s:.1f} s,"
            f" back after {self.back_s:.1f} s, each at most"
        )

    async def survive(self, outage: Outage, database: LocalPostgres, lasting_s: float) -> None:
        """Have an outage, from well to well again."""
        await self._until_served()
        began = monotonic()
        async with outage(database):
            await self._until_ready_is(503)
            self.unready_s = max(self.unready_s, monotonic() - began)
            await asyncio.sleep(lasting_s)
        began = monotonic()
        await self._until_ready_is(200)
        await self._until_served()
        self.back_s = max(self.back_s, monotonic() - began)
        await self._until_all_is_well()

    async def _until_ready_is(self, status: int) -> None:
        async def is_so() -> bool:
            return (await self._peer.client.get("/readyz")).status_code == status

        await wait_until_so(is_so)

    async def _until_served(self) -> None:
        served = self._load.served
        await wait_until(lambda: self._load.served > served + CLIENTS, 30)

    async def _until_all_is_well(self) -> None:
        """Wait for what the process does by itself: beat, listen, fold."""
        beats = "SELECT count(*) FROM processes WHERE heartbeat_at > $1 AND ended_at IS NULL"
        now = await asked(self._url, "SELECT now()")
        before = self._peer.server.output.count("not understood")

        async def is_well() -> bool:
            await asked(self._url, "SELECT pg_notify($1, 'Is anybody there?')", CHANNEL)
            heard = self._peer.server.output.count("not understood") > before
            return heard and await asked(self._url, beats, now) == 1

        await wait_until_so(is_well)


async def _require_survival(
    environment: dict[str, str],
    url: str,
    database: LocalPostgres,
    course: Sequence[tuple[Outage, float]],
) -> Patient:
    """Have a server go through outages under load; require that nothing is lost and all is said."""
    environment = environment | {"DSPATCH_DATABASE__URL": url}
    async with peers(environment, {}) as (peer,):
        program_id = await a_mock(peer.client, LATENCY_MS)
        path = f"/v1/programs/{program_id}/executions"
        async with Load(path, peer.server.base_url, CLIENTS) as load:
            patient = Patient(peer, load, url)
            for outage, lasting_s in course:
                await patient.survive(outage, database, lasting_s)
        await until_at_rest(url)
        rows = await require_truth(url, peer.client, program_id, load.calls)
        assert await counted(peer.client) == len(rows)
        assert peer.server.process.returncode is None
    patient.refused_s = max(call.took_s for call in load.calls if call.status == 503)
    print(answers(load.calls), patient)  # noqa: T201 - for the page of scenarios
    print(*peer.server.tracebacks, sep="\n")  # noqa: T201 - or pytest would cut them
    assert peer.server.tracebacks == []
    assert [call for call in load.calls if not call.is_honest] == []
    assert "alembic" not in peer.server.output
    acknowledged = [call.execution_id for call in load.calls if call.status == 200]
    assert len(set(acknowledged)) == len(acknowledged)
    return patient


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
    await _require_survival(quick | impatient, url, own_postgres, course)


@pytest.mark.long
@pytest.mark.timeout(1_200)
async def test_nothing_is_lost_in_twenty_outages(
    quick: dict[str, str], url: str, own_postgres: LocalPostgres
) -> None:
    """Half of them by SIGKILL, some longer than a lease; each time it is back within 10 s."""
    random = Random(20)  # noqa: S311 - any course will do, but each time the same
    outages = islice(cycle((stopped, killed)), TIMES)
    course = [(outage, random.uniform(0, LONGEST_S)) for outage in outages]
    patient = await _require_survival(quick, url, own_postgres, course)
    assert patient.unready_s < UNREADY_WITHIN_S
    assert patient.back_s < BACK_WITHIN_S


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_database_that_hangs_is_waited_for_as_long_as_said(
    quick: dict[str, str], url: str, own_postgres: LocalPostgres
) -> None:
    """By the defaults, for less than the limit and for more: refusals come in time."""
    course = [(frozen, 10.0), (frozen, 20.0)]
    patient = await _require_survival(quick | LONG, url, own_postgres, course)
    assert patient.unready_s < UNREADY_WITHIN_S
    assert patient.back_s < BACK_WITHIN_S
    assert patient.refused_s < REFUSED_WITHIN_S
