"""Find what died or has expired, say so, and mend it: category by category (mission, section 8)."""

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime

from app.actions.resource_cleanup.abandoned_uploads import ABANDONED_UPLOADS
from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.actions.resource_cleanup.dead_processes import DEAD_PROCESSES
from app.actions.resource_cleanup.expired_batches import EXPIRED_BATCHES
from app.actions.resource_cleanup.expired_executions import EXPIRED_EXECUTIONS
from app.actions.resource_cleanup.expired_idempotency_keys import EXPIRED_IDEMPOTENCY_KEYS
from app.actions.resource_cleanup.expired_payloads import EXPIRED_PAYLOADS
from app.actions.resource_cleanup.finished_jobs import FINISHED_JOBS
from app.actions.resource_cleanup.housekeeping import HOUSEKEEPING
from app.actions.resource_cleanup.orphaned_children import ORPHANED_CHILDREN
from app.actions.resource_cleanup.orphaned_executions import ORPHANED_EXECUTIONS
from app.actions.resource_cleanup.partitions import PARTITIONS
from app.actions.resource_cleanup.stalled_batches import STALLED_BATCHES
from app.actions.resource_cleanup.stuck_programs import STUCK_PROGRAMS
from app.actions.resource_cleanup.temporary_files import TEMPORARY_FILES
from app.actions.resource_cleanup.unknown_programs import UNKNOWN_PROGRAMS
from app.actions.resource_cleanup.unprepared_programs import UNPREPARED_PROGRAMS
from app.actions.resource_cleanup.webhook_deliveries import WEBHOOK_DELIVERIES
from app.errors import DspatchError

logger = logging.getLogger(__name__)

CATEGORIES: Sequence[Category] = (
    ORPHANED_EXECUTIONS,
    STALLED_BATCHES,
    ABANDONED_UPLOADS,
    UNKNOWN_PROGRAMS,
    UNPREPARED_PROGRAMS,
    STUCK_PROGRAMS,
    PARTITIONS,
    EXPIRED_PAYLOADS,
    EXPIRED_BATCHES,
    EXPIRED_EXECUTIONS,
    EXPIRED_IDEMPOTENCY_KEYS,
    WEBHOOK_DELIVERIES,
    FINISHED_JOBS,
    DEAD_PROCESSES,
    ORPHANED_CHILDREN,
    TEMPORARY_FILES,
    HOUSEKEEPING,
)
"""In this order, so that what is mended first is out of the way of the rest."""

LONGEST_S = 30.0
"""How long a run mends one category; the next run goes on."""

PAUSE_S = 0.05
"""The pause between slices, in which others have the database."""


@dataclass(frozen=True)
class CleanupInput:
    """Which categories, all where none is named, and whether they are only looked at."""

    categories: Collection[CategoryName] | None = None
    dry_run: bool = True


@dataclass(frozen=True)
class CategoryReport:
    """What was found and removed, and what was kept for which reasons."""

    found: int
    removed: int
    kept: int
    reasons: Mapping[str, int]
    bytes_freed: int
    duration_ms: float
    errors: Sequence[str]


@dataclass(frozen=True)
class CleanupSummary:
    """The categories added up."""

    found: int
    removed: int
    kept: int
    bytes_freed: int
    errors: int


@dataclass(frozen=True)
class CleanupReport:
    """What a run did; a dry one removes nothing, and `found - kept` would go."""

    timestamp: datetime
    dry_run: bool
    duration_ms: float
    categories: Mapping[CategoryName, CategoryReport]
    summary: CleanupSummary


class ResourceCleanup:
    """Runs categories one after the other; one that fails does not stop the others.

    Any number may run at once, on any process: each finds what the others have left.
    """

    def __init__(self, tools: Tools, categories: Sequence[Category] = CATEGORIES) -> None:
        self._tools = tools
        self._clock = tools.clock
        self._categories = categories

    async def __call__(self, wanted: CleanupInput) -> CleanupReport:
        """Look, and mend unless it is a dry run; whatever goes wrong stands in the report."""
        timestamp, began = self._clock.now(), self._clock.monotonic()
        names = set(CategoryName) if wanted.categories is None else set(wanted.categories)
        reports = {
            category.name: await self._run(category, dry_run=wanted.dry_run)
            for category in self._categories
            if category.name in names
        }
        return CleanupReport(
            timestamp=timestamp,
            dry_run=wanted.dry_run,
            duration_ms=self._ms_since(began),
            categories=reports,
            summary=_summary(reports.values()),
        )

    async def _run(self, category: Category, *, dry_run: bool) -> CategoryReport:
        began, work = self._clock.monotonic(), _Work()
        try:
            work.found = await category.look(self._tools)
            if not dry_run:
                await self._mend(category, work)
        except DspatchError as error:
            work.error = error.detail
        except Exception as error:
            logger.exception("the cleanup of %s failed", category.name)
            work.error = f"it failed ({type(error).__name__})"
        reasons = work.found.kept if dry_run else work.reasons()
        kept = sum(reasons.values())
        return CategoryReport(
            found=work.found.total if dry_run else work.removed + kept,
            removed=work.removed,
            kept=kept,
            reasons=reasons,
            bytes_freed=work.bytes_freed,
            duration_ms=self._ms_since(began),
            errors=[work.error] if work.error is not None else [],
        )

    async def _mend(self, category: Category, work: "_Work") -> None:
        """Mend slice by slice until nothing is left, or the time is over."""
        until = self._clock.monotonic() + LONGEST_S
        async with aclosing(category.mend(self._tools)) as slices:
            async for rows, bytes_freed in slices:
                work.removed += rows
                work.bytes_freed += bytes_freed
                if self._clock.monotonic() > until:
                    work.is_cut = True
                    return
                await self._clock.sleep(PAUSE_S)

    def _ms_since(self, began: float) -> float:
        return (self._clock.monotonic() - began) * 1_000


@dataclass
class _Work:
    """How far a category has come."""

    found: Found = field(default_factory=lambda: Found(0))
    removed: int = 0
    bytes_freed: int = 0
    is_cut: bool = False
    error: str | None = None

    def reasons(self) -> Mapping[str, int]:
        """Say why what is left was kept; what others did meanwhile is left to them."""
        left = self.found.total - sum(self.found.kept.values()) - self.removed
        if left <= 0:
            return self.found.kept
        why = "changed_meanwhile"
        if self.error is not None:
            why = "failed"
        elif self.is_cut:
            why = "out_of_time"
        return {**self.found.kept, why: left}


def _summary(reports: Collection[CategoryReport]) -> CleanupSummary:
    return CleanupSummary(
        found=sum(report.found for report in reports),
        removed=sum(report.removed for report in reports),
        kept=sum(report.kept for report in reports),
        bytes_freed=sum(report.bytes_freed for report in reports),
        errors=sum(len(report.errors) for report in reports),
    )
