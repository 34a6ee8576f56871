"""The weeks by which `executions` is partitioned: names and bounds."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.models.ids import first_id

_PARTITION = re.compile(r"executions_(\d{4})w(\d{2})")


@dataclass(frozen=True)
class Week:
    """An ISO week in UTC; `monday` is its first instant."""

    monday: datetime

    @classmethod
    def of(cls, instant: datetime) -> "Week":
        """Find the week in which an instant lies."""
        day = instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(day - timedelta(days=day.weekday()))

    def and_following(self, count: int) -> Iterator["Week"]:
        """Give this week and the `count` after it."""
        for index in range(count + 1):
            yield Week(self.monday + timedelta(weeks=index))

    @classmethod
    def named(cls, partition: str) -> "Week | None":
        """Find the week of a partition; None where a table's name is none of one."""
        found = _PARTITION.fullmatch(partition)
        if found is None:
            return None
        year, week = map(int, found.groups())
        return cls(datetime.fromisocalendar(year, week, 1).replace(tzinfo=UTC))

    @property
    def partition(self) -> str:
        """The name of this week's partition, `executions_2026w48`."""
        year, week, _ = self.monday.isocalendar()
        return f"executions_{year}w{week:02}"

    @property
    def bounds(self) -> tuple[UUID, UUID]:
        """The lowest id of this week and of the next."""
        return _first_id(self.monday), _first_id(self.end)

    @property
    def end(self) -> datetime:
        """The first instant of the next week."""
        return self.monday + timedelta(weeks=1)


def is_partition(table: str) -> bool:
    """Tell whether a table's name is that of a partition."""
    return _PARTITION.fullmatch(table) is not None


def _first_id(instant: datetime) -> UUID:
    return first_id(int(instant.timestamp()) * 1_000)
