"""Retention over many records: `python -m bench.cleanup [--records 10000000]`.

The records lie over 60 days, half of them expired. Of every other old week a record is kept, so
that half of those weeks go whole and the rest row by row. Measured are lists of 10 000 records and
of all; a run, and beside it executions, one after the other, and waits for locks; and the size of
the database after a week of the same load and after a second.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import asyncpg
from pydantic import SecretStr

from app.actions.batch_processing.closing import BatchClosing
from app.actions.batch_processing.telling import BatchTelling
from app.actions.resource_cleanup import CleanupInput, ResourceCleanup
from app.actions.resource_cleanup.category import CategoryName, Tools
from app.adapters.registry import AdapterRegistry
from app.database import Database
from app.models.ids import Ids
from app.models.weeks import Week
from app.policies.clock import SystemClock
from app.processes.channel import ControlChannel
from app.settings import DatabaseSettings, RetentionSettings, Settings
from app.stores.executions import ExecutionFilter
from app.stores.pages import Page
from app.telemetry.metrics import Metrics
from bench.history import TEXT_BYTES, an_unhurried_link, copy_history, copy_now
from bench.house import a_database
from tests.stores.rows import an_ending, an_execution

DAYS = 60
KEPT_DAYS = 30
FEW = 10_000
PAGE = 50
FAR_PAGE = 10_000
PAGES = 200
"""So often a page is read."""

ALONE_S = 10.0
"""How long executions are measured with nothing beside them."""

OF_RETENTION = [
    CategoryName.PARTITIONS,
    CategoryName.EXPIRED_BATCHES,
    CategoryName.EXPIRED_EXECUTIONS,
]
_WAITS = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start)), 0)
FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND backend_type = 'client backend'
"""


async def keep_some(database: Database) -> None:
    """Add a record that is kept to every other old week."""
    today = datetime.now(UTC)
    old = dict.fromkeys(
        Week.of(today - timedelta(days=days)) for days in range(DAYS, KEPT_DAYS + 7, -1)
    )
    async with database.transaction() as tx:
        for week in [*old][::2]:
            await an_execution(tx, id=week.bounds[0])


async def settled_bytes(database: Database) -> int:
    """Give the size of the database when nothing is left to vacuum, and its figures are right."""
    link = await an_unhurried_link(database)
    try:
        await link.execute("VACUUM")
        await link.execute("ANALYZE executions")
        return int(await link.fetchval("SELECT pg_database_size(current_database())"))
    finally:
        await link.close()


async def page_ms(database: Database, before: datetime | None) -> float:
    """Give the milliseconds that a page takes: the first, or one that far back.

    It is the lowest tenth of them: what else the machine does takes no part.
    """
    async with database.transaction() as tx:
        wanted = ExecutionFilter(created_before=before)
        cursor = (await tx.executions.list_page(Page(1), wanted)).next_cursor
    page = Page(PAGE, None if before is None else cursor)
    times = []
    for _ in range(PAGES):
        began = perf_counter()
        async with database.transaction() as tx:
            await tx.executions.list_page(page, ExecutionFilter())
        times.append((perf_counter() - began) * 1_000)
    return quantiles(times, n=10)[0]


async def pages_ms(database: Database, records: int) -> tuple[float, float]:
    """Measure page 1 and page 10 000, or the last but one where there are fewer."""
    far = min(FAR_PAGE * PAGE, records - 2 * PAGE)
    before = datetime.now(UTC) - timedelta(days=DAYS * far / records)
    return await page_ms(database, None), await page_ms(database, before)


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
            removed[str(name)] = removed.get(str(name), 0) + one.removed
    return {"s": perf_counter() - began, "runs": runs, **removed}


def said(times: list[float]) -> str:
    """Say the middle and the upper end of some milliseconds."""
    return f"p50 {median(times):.1f} ms, p99 {quantiles(times, n=100)[98]:.1f} ms"


async def measure_lists(database: Database, records: int) -> None:
    """Fill the database, and compare lists of few records with lists of all."""
    await copy_history(database, DAYS, FEW)
    await settled_bytes(database)
    few = await pages_ms(database, FEW)
    began = perf_counter()
    await copy_history(database, DAYS, records - FEW)
    print(f"{records} records over {DAYS} days in {perf_counter() - began:.0f} s")
    full = await settled_bytes(database)
    print(f"{full / records:.0f} bytes a record, of which {2 * TEXT_BYTES} are text")
    many = await pages_ms(database, records)
    for name, little, much in zip(("first", "far"), few, many, strict=True):
        print(
            f"{name} page: {little:.2f} ms of {FEW}, {much:.2f} of all: {much / little:.2f} times"
        )


async def measure_run(database: Database, url: str, settings: Settings) -> None:
    """Drop what has expired, beside executions."""
    until = perf_counter() + ALONE_S
    alone = await execute_until(database, lambda: perf_counter() > until)
    async with watching(url) as waits:
        cleaning = asyncio.create_task(clean(database, settings))
        beside = await execute_until(database, cleaning.done)
    print(f"a run: {cleaning.result()}")
    print(f"executions alone: {said(alone)}; beside it: {said(beside)}")
    print(f"that is {median(beside) / median(alone):.2f} times in the middle")
    print(f"longest wait for a lock: {max(waits) * 1_000:.0f} ms of {len(waits)} looks")


async def measure_growth(database: Database, settings: Settings, records: int) -> None:
    """Live two weeks: as many records come as expire. Weeks go whole, hence weeks and not days."""
    sizes = [await settled_bytes(database)]
    for week in (1, 2):
        await copy_now(database, 7 * records // DAYS)
        await clean(database, keeping(settings, KEPT_DAYS - 7 * week))
        sizes.append(await settled_bytes(database))
    shown = ", ".join(f"{size / 1e6:.0f} MB" for size in sizes)
    print(f"after the run, and one and two weeks of the same load: {shown}")
    print(f"the second week: {sizes[2] / sizes[1]:.2f} times")


def keeping(settings: Settings, days: int) -> Settings:
    """Give settings that keep records for so many days."""
    retention = RetentionSettings(completed_days=days, failed_days=days)
    return settings.model_copy(update={"retention": retention})


async def bench(url: str, records: int) -> None:
    """Measure, and print."""
    settings = keeping(Settings(database=DatabaseSettings(url=SecretStr(url))), KEPT_DAYS)
    database = Database.connect(settings.database, is_patient=True)
    try:
        await measure_lists(database, records)
        await keep_some(database)
        await measure_run(database, url, settings)
        await measure_growth(database, settings, records)
    finally:
        await database.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000_000)
    with a_database() as (address, _):
        asyncio.run(bench(address, parser.parse_args().records))
