"""What a batch says of itself: figures reckoned from what was counted."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.actions.batch_processing.reporting import (
    MOST_ITEMS,
    BatchReporting,
    Progress,
    report_of,
)
from app.database import Database
from app.models import Batch
from app.stores.batches import BatchReading, Tally
from tests.support.batches import AnsweringAdapter, Peer, a_stored_batch, reading
from tests.support.factories import a_program

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def a_reading(*, succeeded: int = 0, after_s: float = 10, **values: Any) -> BatchReading:
    """Make a batch of 20 items that was read so long after noon."""
    defaults = {
        "id": uuid4(),
        "status": "running",
        "total_items": 20,
        "next_index": succeeded,
        "ended_ahead": 0,
        "invalid_items": 0,
        "cancelled_items": 0,
        "started_at": NOON,
        "finished_at": None,
    }
    tally = Tally(succeeded, 0, 0, 0, 0, succeeded * 2.5, 0, 0, 0, 0)
    read_at = NOON + timedelta(seconds=after_s)
    return BatchReading(Batch(**{**defaults, **values}), tally, read_at)


@pytest.mark.parametrize(
    ("read", "progress"),
    [
        (a_reading(succeeded=5), Progress(5, 0.5, 30_000)),
        (a_reading(), Progress(0, 0.0, None)),
        (a_reading(started_at=None, status="pending"), Progress(0, 0.0, None)),
        (a_reading(succeeded=5, status="paused"), Progress(5, 0.5, None)),
        (a_reading(succeeded=20), Progress(20, 2.0, 0.0)),
        (
            a_reading(succeeded=20, finished_at=NOON + timedelta(seconds=5), status="completed"),
            Progress(20, 4.0, 0.0),
        ),
        (a_reading(total_items=0, finished_at=NOON, status="completed"), Progress(0, 0.0, 0.0)),
    ],
)
def test_progress_is_what_has_ended_over_the_time(read: BatchReading, progress: Progress) -> None:
    """With the time that is left where the batch moves, and nothing left where all has ended."""
    assert report_of(read).progress == progress


def test_shares_and_means_are_of_all_items() -> None:
    """The rate over the total, the mean over what has ended; none of nothing."""
    report = report_of(a_reading(succeeded=5))
    assert (report.success_rate, report.average_item_duration_ms) == (0.25, 2.5)
    assert report.duration_ms is None
    empty = report_of(a_reading(total_items=0, finished_at=NOON + timedelta(seconds=1.5)))
    assert (empty.success_rate, empty.average_item_duration_ms) == (None, 0.0)
    assert empty.duration_ms == 1_500.0
    assert (empty.successes, empty.failures) == (None, None)


async def test_items_stand_in_the_report_of_an_ended_batch(database: Database) -> None:
    """Unless they are many; they are read at once for that."""
    program, report = await a_program(database), BatchReporting(database)
    few = await a_stored_batch(database, program, 3)
    many = await a_stored_batch(database, program, MOST_ITEMS + 1, batch_size=1_000)
    assert (await report(await reading(database, few))).items is None
    await (await Peer(database, AnsweringAdapter()).enter()).work()
    shown = await report(await reading(database, few))
    assert [item.item_index for item in shown.successes or ()] == [0, 1, 2]
    assert shown.failures == []
    assert (await report(await reading(database, many))).items is None
