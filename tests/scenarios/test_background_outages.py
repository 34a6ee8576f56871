"""Executions that run in the background, while PostgreSQL is away."""

import asyncio

import pytest
from pydantic import SecretStr

from app.database import Database
from app.local.postgres import LocalPostgres
from app.settings import DatabaseSettings
from tests.scenarios.test_background import errors, workers
from tests.support.outages import Outage, frozen, killed, stopped
from tests.support.peers import a_mock, until_running
from tests.support.truth import forbid_second_ends, require_truth
from tests.support.wait import wait_until_so

OUTAGE_S = 40.0
RUNS = 60
PLACES = 8


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("outage", [stopped, killed, frozen])
async def test_an_outage_of_forty_seconds_is_survived(
    environment: dict[str, str], own_postgres: LocalPostgres, outage: Outage
) -> None:
    """By processes that go on: what ran ends once, answers are kept, what waited is run.

    By the defaults, nobody is given up: an outage is nobody's death.
    """
    name = f"away_{outage.__name__}"
    await own_postgres.ensure_database(name)
    url = own_postgres.url(name)
    await Database.migrate(DatabaseSettings(url=SecretStr(url)))
    await forbid_second_ends(url)
    environment = environment | {"DSPATCH_DATABASE__URL": url}
    places = {"DSPATCH_WORKER__CONCURRENCY": str(PLACES)}
    async with workers(environment, places, places) as (peer, both):
        program_id = await a_mock(peer.client, 3_000)
        ids = [await peer.accept(program_id) for _ in range(RUNS)]
        await until_running(peer, PLACES + 1)  # both work
        async with outage(own_postgres):
            await asyncio.sleep(OUTAGE_S)

        async def is_back() -> bool:
            return (await peer.client.get("/readyz")).status_code == 200

        await wait_until_so(is_back, 60)
        records = [await peer.ended(one) for one in ids]
        assert len(await require_truth(url, peer.client, program_id, [])) == RUNS
        for worker in both:
            assert worker.process.returncode is None
            assert worker.tracebacks == []
            assert await worker.stop() == 0
    assert {one["status"] for one in records} == {"completed"}
    assert [errors(one) for one in records] == [[None]] * RUNS
