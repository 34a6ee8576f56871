import itertools
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.ids import Ids
from app.models.weeks import Week, is_partition
from tests.support.clock import ManualClock

MOMENTS = st.datetimes(
    min_value=datetime(1971, 1, 1),  # noqa: DTZ001 - made aware by the last line
    max_value=datetime(9998, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@pytest.mark.parametrize(
    ("day", "name", "monday"),
    [
        ((2024, 12, 29), "executions_2024w52", (2024, 12, 23)),
        ((2024, 12, 30), "executions_2025w01", (2024, 12, 30)),
        ((2025, 1, 1), "executions_2025w01", (2024, 12, 30)),
        ((2026, 1, 4), "executions_2026w01", (2025, 12, 29)),
        ((2026, 12, 31), "executions_2026w53", (2026, 12, 28)),
        ((2027, 1, 3), "executions_2026w53", (2026, 12, 28)),
        ((2027, 1, 4), "executions_2027w01", (2027, 1, 4)),
        ((2026, 11, 24), "executions_2026w48", (2026, 11, 23)),
    ],
)
def test_weeks_are_named_by_the_iso_year(
    day: tuple[int, int, int], name: str, monday: tuple[int, int, int]
) -> None:
    """Around new year a week has the number and the year of ISO 8601, not of the calendar."""
    week = Week.of(datetime(*day, 23, 59, 59, 999_999, tzinfo=UTC))
    assert week.partition == name
    assert week.monday == datetime(*monday, tzinfo=UTC)


def test_weeks_begin_on_monday_in_utc() -> None:
    """A Sunday evening in New York is a Monday, and a Monday morning in Tokyo a Sunday."""
    new_york, tokyo = timezone(timedelta(hours=-5)), timezone(timedelta(hours=9))
    monday = Week(datetime(2026, 1, 5, tzinfo=UTC))
    assert Week.of(datetime(2026, 1, 4, 19, 0, tzinfo=new_york)) == monday
    assert Week.of(datetime(2026, 1, 5, 8, 59, tzinfo=tokyo)).monday == datetime(
        2025, 12, 29, tzinfo=UTC
    )
    assert Week.of(datetime(2026, 1, 5, 9, 0, tzinfo=tokyo)) == monday


@given(MOMENTS)
def test_every_id_lies_within_the_bounds_of_its_week(moment: datetime) -> None:
    """An id made at any moment lies in the week of that moment."""
    low, high = Week.of(moment).bounds
    assert low <= Ids(ManualClock(moment)).new() < high


@given(MOMENTS, st.integers(min_value=0, max_value=120))
def test_weeks_follow_each_other_without_a_gap(moment: datetime, count: int) -> None:
    """Each week ends where the next begins, and no two have the same name."""
    weeks = list(Week.of(moment).and_following(count))
    assert weeks[0] == Week.of(moment)
    assert len({week.partition for week in weeks}) == count + 1
    for week, following in itertools.pairwise(weeks):
        assert week.bounds[1] == following.bounds[0]
    assert all(is_partition(week.partition) for week in weeks)
    assert [Week.named(week.partition) for week in weeks] == weeks


@pytest.mark.parametrize(
    "name", ["executions", "executions_2026", "executions_2026w1", "xexecutions_2026w01", "a"]
)
def test_other_tables_are_no_partitions(name: str) -> None:
    """A table is a partition by its whole name only."""
    assert not is_partition(name)
    assert not is_partition(f"{name}_old")
    assert Week.named(name) is None
