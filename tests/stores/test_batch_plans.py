"""No statement about a batch looks into another partition than that in which its items lie."""

import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from app.database import Database
from app.models.ids import item_id
from app.models.states import ExecutionStatus
from app.settings import DatabaseSettings
from app.stores.batch_items import ItemFilter, ItemRow
from app.stores.batch_lanes import HeldLane, Item
from app.stores.executions import ExecutionFilter
from app.stores.pages import Page
from app.stores.transaction import Transaction
from tests.stores.rows import IDS, a_lane, a_running_batch, item_ending, of_items

ERROR = {"type": "cancelled"}
_LOOKS = text("""
SELECT relname, seq_scan + coalesce(idx_scan, 0) + n_tup_ins AS looks FROM pg_stat_xact_user_tables
WHERE relname LIKE 'executions\\_%w%'
""")


@pytest.fixture
async def year(
    new_database: Callable[[str], Coroutine[None, None, str]], request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    """A database with the partitions of a year."""
    url = await new_database(f"batches_{zlib.crc32(request.node.name.encode())}")
    database = Database.connect(DatabaseSettings(url=SecretStr(url)))
    async with database.transaction() as tx:
        await tx.partitions.ensure(52)
    yield database
    await database.close()


async def _looks(tx: Transaction) -> Counter[str]:
    """Count how often this session has looked into each partition."""
    rows = await tx.executions._session.execute(_LOOKS)
    return Counter({row.relname: row.looks for row in rows})


async def _touched(tx: Transaction, mode: str, act: Callable[[], Awaitable[object]]) -> set[str]:
    """Do something, and give the partitions that were looked into for it."""
    before = await _looks(tx)
    await tx.executions._session.execute(text(f"SET LOCAL plan_cache_mode = {mode}"))
    await act()
    return set(await _looks(tx) - before)


def _acts(
    tx: Transaction, batch_id: UUID, lane: HeldLane, items: Sequence[Item]
) -> Mapping[str, Callable[[], Awaitable[object]]]:
    """Give everything that is done with items."""
    new_id = IDS.new()
    row = ItemRow(0, None, "{}", None)
    failed = [item_ending(one, ExecutionStatus.FAILED) for one in items]
    return {
        "add": lambda: tx.batch_items.add(of_items(new_id), 0, [row] * 50),
        "delete": lambda: tx.batch_items.delete_slice(new_id, 50),
        "claim": lambda: tx.lanes.claim(lane, 5),
        "note": lambda: tx.lanes.note_attempts(lane, items),
        "finish": lambda: tx.lanes.finish(lane, failed),
        "cancel": lambda: tx.batch_items.cancel_slice(batch_id, ERROR, 5),
        "take": lambda: tx.waiting_lanes.take(batch_id, 0, lane.owner_id),
        "results": lambda: tx.batch_items.list_ended(batch_id, Page(), ItemFilter(from_index=2)),
        "rest": lambda: tx.batch_items.list_unfinished(batch_id, item_id(batch_id, 1), 50),
        "running": lambda: tx.lanes.list_running(lane),
        "percentiles": lambda: tx.batch_items.percentiles(batch_id),
        "list": lambda: tx.executions.list_page(Page(), ExecutionFilter(batch_id=batch_id)),
    }


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_each_statement_looks_into_one_partition(year: Database, mode: str) -> None:
    """Of the year that there is, whatever is done with the items of a batch."""
    async with year.transaction() as tx:
        batch_id = await a_running_batch(tx, 30)
        lane = await a_lane(tx, batch_id)
        items = await tx.lanes.claim(lane, 5)
        assert items
    touched: dict[str, set[str]] = {}
    for name in _acts(tx, batch_id, lane, items):
        async with year.transaction() as tx:
            act = _acts(tx, batch_id, lane, items)[name]
            touched[name] = await _touched(tx, mode, act)
    assert {name: len(found) for name, found in touched.items()} == dict.fromkeys(touched, 1)
