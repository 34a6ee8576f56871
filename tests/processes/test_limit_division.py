from app.adapters.lm_limits import LMLimiters
from app.database import Database
from app.processes.limit_division import LimitDivision
from app.settings import LMSettings, ProcessesSettings
from tests.stores.rows import a_process
from tests.support.clock import ManualClock


async def test_the_limits_are_divided_by_the_live_processes(database: Database) -> None:
    """Those that have left or were silent for a lease count no more; others do when they come."""
    lms = {"main": LMSettings(model="openai/small", max_concurrency=60, requests_per_minute=90)}
    limiters = LMLimiters(lms, ManualClock())
    divide = LimitDivision(database, limiters, ProcessesSettings())
    await divide()
    parts, entered = [], []
    for silent_s in (0, 14, 20, 3):
        async with database.transaction() as tx:
            entered.append(await a_process(tx, silent_s=silent_s))
        await divide()
        limits = limiters["main"].limits
        parts.append((limits.max_concurrency, limits.requests_per_minute))
    assert parts == [(60, 90), (30, 45), (30, 45), (20, 30)]
    async with database.transaction() as tx:
        assert await tx.processes.end(entered[-1])
    await divide()
    assert limiters["main"].limits.max_concurrency == 30
