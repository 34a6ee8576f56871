"""A retention run over many records: `python -m bench.cleanup [--records 10000000]`.

The records lie over 60 days, half of them expired. Of every other old week a record is kept, so
that half of those weeks go whole and the rest row by row. Beside the run somebody begins and ends
executions, one after the other: how much longer that takes, and how long anybody waits for a lock.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import asyncpg
from pydantic import SecretStr
from sqlalchemy import Connection, text

from app.actions.batch_processing.closing import BatchClosing
from app.actions.batch_processing.telling import BatchTelling
from app.actions.resource_cleanup import CleanupInput, ResourceCleanup
from app.actions.resource_cleanup.category import CategoryName, Tools
from app.adapters.registry import AdapterRegistry
from app.database import Database
from app.models.ids import Ids, first_id
from app.models.weeks import Week
from app.policies.clock import SystemClock
from app.processes.channel import ControlChannel
from app.settings import DatabaseSettings, RetentionSettings, Settings
from app.telemetry.metrics import Metrics
from bench.house import a_database
from tests.stores.rows import an_ending, an_execution

DAYS = 60
KEPT_DAYS = 30
ALONE_S = 10.0
"""How long executions are measured with nothing beside them."""

OF_RETENTION = [
    CategoryName.PARTITIONS,
    CategoryName.EXPIRED_BATCHES,
    CategoryName.EXPIRED_EXECUTIONS,
]
_FILL = text("""
WITH made AS (
    SELECT n, CAST(:ms AS bigint) + n * 86400000 / CAST(:count AS bigint) AS ms
    FROM generate_series(0, CAST(:count AS bigint) - 1) AS n
)
INSERT INTO executions (id, program_id, program_name, program_revision, signature_id,
    signature_name, signature_version, adapter_type, inputs, outputs, attempts, execution_options,
    metadata, status, outcome, duration_ms, created_at, started_at, finished_at)
SELECT CAST(lpad(to_hex(ms), 12, '0') || '7' || substr(md5(n::text), 1, 19) AS uuid),
    :program_id, 'answers', 1, :program_id, 'answer', 1, 'mock',
    json_build_object('question', repeat(md5(n::text), 8)),
    json_build_object('answer', repeat(md5(n::text), 8)), '[]', '{}', '{}', 'completed', 'success',
    12.0, to_timestamp(ms / 1000.0), to_timestamp(ms / 1000.0), to_timestamp(ms / 1000.0)
FROM made
""")
_WAITS = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start)), 0)
FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND backend_type = 'client backend'
"""


async def fill(database: Database, records: int) -> None:
    """Add records, evenly over the days, and one to keep in every other old week."""
    today, program_id = datetime.now(UTC), first_id(1)
    for days in range(DAYS, 0, -1):
        ms = int((today - timedelta(days=days)).timestamp() * 1_000)
        bound = {"ms": ms, "count": records // DAYS, "program_id": program_id}
        await database.make_partitions([first_id(ms), first_id(ms + 86_400_000)])
        await database.run_sync(partial(Connection.execute, statement=_FILL, parameters=bound))
    old = dict.fromkeys(
        Week.of(today - timedelta(days=days)) for days in range(DAYS, KEPT_DAYS + 7, -1)
    )
    async with database.transaction() as tx:
        for week in [*old][::2]:
            await an_execution(tx, id=week.bounds[0])
    async with database.transaction() as tx:
        await tx.housekeeping.analyze("executions")


async def execute_until(database: Database, is_over: Callable[[], bool]) -> list[float]:
    """Begin and end executions one after the other; give the milliseconds of each."""
    times = []
    while not is_over():
        began = perf_counter()
        async with database.transaction() as tx:
            execution_id = await an_execution(tx)
        async with database.transaction() as tx:
            await tx.executions.finish(execution_id, an_ending())
        times.append((perf_counter() - began) * 1_000)
    return times


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[list[float]]:
    """List for how long somebody has waited for a lock, in seconds, as often as it is asked."""
    link = await asyncpg.connect(url)
    waits = list[float]()

    async def watch() -> None:
        while True:
            waits.append(float(await link.fetchval(_WAITS)))
            await asyncio.sleep(0.01)

    task = asyncio.create_task(watch())
    try:
        yield waits
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await link.close()


async def clean(database: Database, settings: Settings) -> dict[str, Any]:
    """Run until nothing is left; give the seconds, the runs, and what each category removed."""
    clock = SystemClock()
    channel, ids = ControlChannel(clock, Random(0)), Ids(clock)  # noqa: S311 - jitter
    close = BatchClosing(database, channel, Metrics(), BatchTelling(database, ids))
    tools = Tools(database, channel, close, AdapterRegistry([]), ids, clock, settings)
    run, removed, runs = ResourceCleanup(tools), dict[str, int](), 0
    began, is_over = perf_counter(), False
    while not is_over:
        report = await run(CleanupInput(OF_RETENTION, dry_run=False))
        runs, is_over = runs + 1, not report.summary.removed
        for name, one in report.categories.items():
            assert not one.errors, one.errors  # noqa: S101 - a run with errors measures nothing
            removed[name] = removed.get(name, 0) + one.removed
    return {"s": perf_counter() - began, "runs": runs, **removed}


def said(times: list[float]) -> str:
    """Say the middle and the upper end of some milliseconds."""
    return f"p50 {median(times):.1f} ms, p99 {quantiles(times, n=100)[98]:.1f} ms"


async def bench(url: str, records: int) -> None:
    """Measure, and print."""
    retention = RetentionSettings(completed_days=KEPT_DAYS, failed_days=KEPT_DAYS)
    settings = Settings(database=DatabaseSettings(url=SecretStr(url)), retention=retention)
    database = Database.connect(settings.database, is_patient=True)
    try:
        began = perf_counter()
        await fill(database, records)
        print(f"{records} records over {DAYS} days in {perf_counter() - began:.0f} s")
        until = perf_counter() + ALONE_S
        alone = await execute_until(database, lambda: perf_counter() > until)
        print(f"executions alone: {said(alone)}")
        async with watching(url) as waits:
            cleaning = asyncio.create_task(clean(database, settings))
            beside = await execute_until(database, cleaning.done)
        print(f"executions beside the run: {said(beside)}")
        print(f"longest wait for a lock: {max(waits) * 1_000:.0f} ms of {len(waits)} looks")
        print(cleaning.result())
    finally:
        await database.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000_000)
    with a_database() as (address, _):
        asyncio.run(bench(address, parser.parse_args().records))
