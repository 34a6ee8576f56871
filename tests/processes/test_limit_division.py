from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from app.adapters.lm_limits import LMLimiters, LMParts
from app.adapters.registry import AdapterRegistry
from app.database import Database
from app.processes.limit_division import LimitDivision
from app.settings import LMSettings, ProcessesSettings
from tests.stores.rows import a_process
from tests.support.adapters import ScriptedAdapter
from tests.support.clock import ManualClock
from tests.support.factories import new_ids

LMS = {"main": LMSettings(model="openai/small", max_concurrency=60, requests_per_minute=90)}


class Parent(ScriptedAdapter):
    """An adapter with children."""

    def __init__(self, name: str, children: Mapping[str, int]) -> None:
        super().__init__(name=name)
        self.children = children
        self.parts: LMParts = {}

    def lm_children(self) -> Mapping[str, int]:
        """Give those of the test."""
        return self.children

    def limit_children(self, parts: LMParts) -> None:
        """Keep what they were told."""
        self.parts = parts


class OneProcess:
    """The division as one process makes it."""

    def __init__(self, database: Database, process_id: UUID, *parents: Parent) -> None:
        self.id = process_id
        self.limiters = LMLimiters(LMS, ManualClock())
        adapters = AdapterRegistry(parents)
        self.divide = LimitDivision(
            database, lambda: self.id, adapters, self.limiters, ProcessesSettings()
        )

    @property
    def part(self) -> tuple[Any, Any]:
        """Calls at once and in a minute."""
        limits = self.limiters["main"].limits
        return limits.max_concurrency, limits.requests_per_minute


async def _entered(database: Database, *silent_s: float) -> list[UUID]:
    async with database.transaction() as tx:
        return [await a_process(tx, silent_s=seconds) for seconds in silent_s]


async def test_the_limits_are_divided_by_the_live_processes(database: Database) -> None:
    """Those that have left or were silent for a lease count no more; others do when they come."""
    (own,) = await _entered(database, 0)
    one = OneProcess(database, own)
    await one.divide()
    assert one.part == (60, 90)
    (last, _, _) = await _entered(database, 14, 20, 3)
    await one.divide()
    assert one.part == (20, 30)
    async with database.transaction() as tx:
        assert await tx.processes.end(last)
    await one.divide()
    assert one.part == (30, 45)


async def test_children_hold_what_their_programs_ask(database: Database) -> None:
    """All count for all: those of other processes, too; and each is told its part."""
    ids = await _entered(database, 0, 0)
    parents = Parent("a", {"main": 2, "other": 9}), Parent("b", {"main": 1})
    with_children, without = OneProcess(database, ids[0], *parents), OneProcess(database, ids[1])
    await with_children.divide()
    await without.divide()
    assert with_children.part == without.part == (60 // 5, 90 // 5)
    assert [parent.parts["main"].max_concurrency for parent in parents] == [12, 12]
    parents[0].children = {}
    await with_children.divide()
    await without.divide()
    assert with_children.part == without.part == (20, 30)


async def test_a_process_that_goes_on_under_a_new_id_tells_of_its_children_again(
    database: Database,
) -> None:
    """It holds its own part, even where its row is not seen."""
    old, other = await _entered(database, 0, 0)
    parent = Parent("a", {"main": 1})
    frozen, awake = OneProcess(database, old, parent), OneProcess(database, other)
    await frozen.divide()
    async with database.transaction() as tx:
        await tx.processes.end(old)
    frozen.id = new_ids().new()
    await frozen.divide()
    assert frozen.part == (20, 30)
    (frozen.id,) = await _entered(database, 0)
    await frozen.divide()
    await awake.divide()
    assert awake.part == (20, 30)


@pytest.mark.parametrize("rounds", [1, 3])
async def test_only_news_are_written(database: Database, rounds: int) -> None:
    """A process whose children are the same says it once."""
    (own,) = await _entered(database, 0)
    one = OneProcess(database, own, Parent("a", {"main": 1}))
    for _ in range(rounds):
        await one.divide()
    async with database.transaction() as tx:
        assert await tx.processes.list_lm_children(5) == {own: {"main": 1}}
        await tx.processes.tell_lm_children(own, {"main": 7})
    await one.divide()
    async with database.transaction() as tx:
        assert await tx.processes.list_lm_children(5) == {own: {"main": 7}}
