"""Waiting for the end of an execution: short looks, growing pauses, no connection between."""

from uuid import UUID, uuid4

import pytest
from typing_extensions import override

from app.actions.execution_waiting import LONGEST_PAUSE_S, ExecutionEnds, ExecutionWaiting
from app.database import Database
from app.errors import ExecutionNotFoundError
from app.models.states import ExecutionStatus
from app.settings import Settings
from tests.support.clock import ManualClock
from tests.support.factories import a_narrow_database, a_program, an_execution


class EndingThen(ExecutionEnds):
    """Ends the execution in the pause before the look of this number."""

    def __init__(self, clock: ManualClock, database: Database, look: int) -> None:
        super().__init__(clock)
        self.pauses: list[float] = []
        self._database = database
        self._look = look

    @override
    async def next(self, execution_id: UUID, at_most_s: float) -> None:
        """Pause on the clock; end the execution where it is time."""
        self.pauses.append(at_most_s)
        if len(self.pauses) == self._look:
            async with self._database.transaction() as tx:
                values = {"status": ExecutionStatus.COMPLETED, "outcome": "success"}
                await tx.executions.finish(execution_id, values)
        await super().next(execution_id, at_most_s)


async def test_what_has_ended_is_given_at_once(database: Database) -> None:
    """However long the client would wait."""
    clock = ManualClock()
    execution = await an_execution(database, await a_program(database), end={})
    waiting = ExecutionWaiting(database, ExecutionEnds(clock), clock)
    found = await waiting(execution.id, 60.0)
    assert (found.status, clock.slept) == ("completed", [])


async def test_without_a_wait_what_runs_is_given_at_once(database: Database) -> None:
    """As it stands."""
    clock = ManualClock()
    execution = await an_execution(database, await a_program(database))
    found = await ExecutionWaiting(database, ExecutionEnds(clock), clock)(execution.id)
    assert (found.status, clock.slept) == ("running", [])


async def test_the_end_is_seen_when_it_comes(settings: Settings, database: Database) -> None:
    """The last look finds it; the one connection of the pool was free in every pause."""
    clock = ManualClock()
    execution = await an_execution(database, await a_program(database))
    async with a_narrow_database(settings) as narrow:
        ends = EndingThen(clock, narrow, look=3)
        found = await ExecutionWaiting(narrow, ends, clock)(execution.id, 60.0)
    assert found.status == "completed"
    assert ends.pauses == [0.05, 0.1, 0.2]


async def test_the_time_is_up(database: Database) -> None:
    """Pauses grow to a second and the last is cut; then the record is given as it stands."""
    clock = ManualClock()
    execution = await an_execution(database, await a_program(database))
    found = await ExecutionWaiting(database, ExecutionEnds(clock), clock)(execution.id, 10.0)
    assert found.status == "running"
    assert clock.monotonic() == pytest.approx(10.0)
    assert max(clock.slept) == LONGEST_PAUSE_S
    assert clock.slept[:4] == [0.05, 0.1, 0.2, 0.4]


async def test_an_unknown_execution_is_not_waited_for(database: Database) -> None:
    """It is told at once."""
    clock = ManualClock()
    with pytest.raises(ExecutionNotFoundError):
        await ExecutionWaiting(database, ExecutionEnds(clock), clock)(uuid4(), 60.0)
    assert clock.slept == []
