"""A server of PostgreSQL without room: what can be done without writing is done."""

import asyncio

import pytest

from app.database import Database
from app.settings import Settings
from tests.support.application import a_client_on
from tests.support.factories import post_execution, post_program
from tests.support.holds import disk_full
from tests.support.server import until_running
from tests.support.wait import wait_until


def _waits(caplog: pytest.LogCaptureFixture) -> int:
    """Count the records that found no room so far, and wait for some."""
    return caplog.text.count("records wait: DiskFullError")


async def test_a_full_disk_loses_nothing_and_is_over_with_it(
    settings: Settings,
    database: Database,  # noqa: ARG001 - emptied after us
    database_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No execution begins, records are read, and an answer that was paid for is kept."""
    hasty = settings.database.model_copy(update={"pool_timeout_ms": 300})
    settings = settings.model_copy(update={"database": hasty})
    async with a_client_on(settings) as client:
        quick = await post_program(client, name="quick")
        slow = await post_program(client, {"latency_ms": 2_000}, name="slow")
        running = asyncio.create_task(post_execution(client, slow))
        await until_running(client)
        async with disk_full(database_url):
            refused = await post_execution(client, quick)
            read = await client.get("/v1/executions")
            ready = await client.get("/readyz")
            waited = _waits(caplog)
            await wait_until(lambda: _waits(caplog) > waited)
            assert not running.done()
        kept = await running
        served = await post_execution(client, quick)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert (read.status_code, ready.status_code) == (200, 200)
    assert (kept.status_code, served.status_code) == (200, 200)
