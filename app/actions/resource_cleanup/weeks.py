"""The weeks of records: those that go whole, and those of which some records go."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.models.weeks import Week
from app.settings import RetentionSettings
from app.stores.expired_weeks import Partition
from app.stores.retention import Expiry
from app.stores.transaction import Transaction


@dataclass
class Weeks:
    """The partitions as the retention sees them.

    `leaving` are on their way out; of `expired` every record need not be kept any more; `needed`
    are as old, and have records that must be; `spared` would be taken for leaving, and are not.
    `mixed` are the weeks that are not expired and may have records that are.
    """

    expiry: Expiry | None
    leaving: list[Partition] = field(default_factory=list)
    expired: list[Partition] = field(default_factory=list)
    needed: list[Partition] = field(default_factory=list)
    spared: list[Partition] = field(default_factory=list)
    mixed: list[Week] = field(default_factory=list)

    @property
    def going(self) -> Sequence[Partition]:
        """What is to be dropped, or taken out at least."""
        return [*self.leaving, *self.expired]


async def find_weeks(tx: Transaction, days: RetentionSettings) -> Weeks:
    """Sort the partitions; a week that ended lately is not looked into."""
    weeks = Weeks(await tx.retention.find_expiry(days))
    for partition in await tx.expired_weeks.list_partitions():
        week = Week.named(partition.name)
        if not partition.is_whole:
            weeks.leaving.append(partition)
        elif week is not None and await _has_expired(tx, week, weeks.expiry):
            weeks.expired.append(partition)
        else:
            if partition.is_marked:
                weeks.spared.append(partition)
            _sort_in(weeks, partition, week)
    return weeks


def _sort_in(weeks: Weeks, partition: Partition, week: Week | None) -> None:
    if week is None or weeks.expiry is None or weeks.expiry.shortest <= week.monday:
        return
    weeks.mixed.append(week)
    if week.end <= weeks.expiry.shortest:
        weeks.needed.append(partition)


async def _has_expired(tx: Transaction, week: Week, expiry: Expiry | None) -> bool:
    if expiry is None or expiry.shortest < week.end:
        return False
    return not await tx.expired_weeks.is_needed(expiry, week)
