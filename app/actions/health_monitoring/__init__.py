"""What Dspatch says of itself: checks side by side, none of which can harm another (section 7)."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.actions.health_monitoring.adapter_probe import LIMIT_S as PROBE_LIMIT_S
from app.actions.health_monitoring.adapter_probe import probe_adapters
from app.actions.health_monitoring.adapter_status import look_at_adapters
from app.actions.health_monitoring.capacity_analysis import look_at_capacity
from app.actions.health_monitoring.check import (
    Check,
    CheckLevel,
    CheckStatus,
    Finding,
    Tools,
    worst,
)
from app.actions.health_monitoring.database_connectivity import look_at_database
from app.actions.health_monitoring.error_rates import look_at_errors
from app.actions.health_monitoring.performance_metrics import look_at_performance
from app.actions.health_monitoring.resource_status import look_at_resources
from app.actions.health_monitoring.resource_utilization import look_at_utilization
from app.actions.health_monitoring.system_status import look_at_system
from app.adapters.guarded import HEALTH_TIMEOUT_S
from app.errors import DspatchError
from app.telemetry.metrics import Metrics, Samples

logger = logging.getLogger(__name__)

CHECKS: Sequence[Check] = (
    Check("system_status", look_at_system),
    Check("adapter_status", look_at_adapters, limit_s=HEALTH_TIMEOUT_S + 1),
    Check("resource_status", look_at_resources),
    Check("database_connectivity", look_at_database),
    Check("performance_metrics", look_at_performance, CheckLevel.COMPREHENSIVE),
    Check("resource_utilization", look_at_utilization, CheckLevel.COMPREHENSIVE),
    Check("error_rates", look_at_errors, CheckLevel.COMPREHENSIVE),
    Check("capacity_analysis", look_at_capacity, CheckLevel.COMPREHENSIVE),
    Check("adapter_probe", probe_adapters, CheckLevel.DEEP, limit_s=PROBE_LIMIT_S + 1),
)


@dataclass(frozen=True)
class HealthMonitoringInput:
    """How much is looked at, and whether this process's metrics are told beside."""

    check_level: CheckLevel = CheckLevel.STANDARD
    include_metrics: bool = False


@dataclass(frozen=True)
class CheckReport:
    """What one check found, when it began and how long it took; no result where it failed."""

    status: CheckStatus
    result: Mapping[str, Any] | None
    duration_ms: float
    timestamp: datetime
    error: str | None


@dataclass(frozen=True)
class HealthSummary:
    """The checks in short."""

    total_checks: int
    healthy_checks: int
    warning_checks: int
    error_checks: int
    health_percentage: float


@dataclass(frozen=True)
class HealthMonitoringReport:
    """What the checks of a level found."""

    timestamp: datetime
    check_level: CheckLevel
    overall_status: CheckStatus
    checks: Mapping[str, CheckReport]
    summary: HealthSummary
    detailed_metrics: Samples | None


class HealthMonitoring:
    """Runs checks."""

    def __init__(self, tools: Tools, metrics: Metrics, checks: Sequence[Check] = CHECKS) -> None:
        self._tools = tools
        self._metrics = metrics
        self._checks = checks

    async def __call__(self, wanted: HealthMonitoringInput) -> HealthMonitoringReport:
        """Run the checks of the level; whatever is wrong stands in the report."""
        timestamp = self._tools.clock.now()
        levels = list(CheckLevel)
        included = levels[: levels.index(wanted.check_level) + 1]
        checks = [check for check in self._checks if check.level in included]
        found = await asyncio.gather(*(self._run(check) for check in checks))
        statuses = [report.status for report in found]
        return HealthMonitoringReport(
            timestamp=timestamp,
            check_level=wanted.check_level,
            overall_status=worst(statuses),
            checks={check.name: report for check, report in zip(checks, found, strict=True)},
            summary=_summary(statuses),
            detailed_metrics=self._metrics.samples() if wanted.include_metrics else None,
        )

    async def _run(self, check: Check) -> CheckReport:
        clock = self._tools.clock
        timestamp, began = clock.now(), clock.monotonic()
        finding = await self._finding(check)
        return CheckReport(
            finding.status,
            finding.result,
            duration_ms=(clock.monotonic() - began) * 1_000,
            timestamp=timestamp,
            error=finding.error,
        )

    async def _finding(self, check: Check) -> Finding:
        """Give what a check finds; one that raises or hangs is an error of its own."""
        try:
            async with asyncio.timeout(check.limit_s):
                return await check.look(self._tools)
        except TimeoutError:
            error = f"it took longer than {check.limit_s:g} s"
        except DspatchError as failure:
            error = failure.detail
        except Exception as failure:
            logger.exception("the health check %s failed", check.name)
            error = f"it failed ({type(failure).__name__})"
        return Finding(CheckStatus.ERROR, None, error)


def _summary(statuses: Sequence[CheckStatus]) -> HealthSummary:
    counts = Counter(statuses)
    return HealthSummary(
        total_checks=len(statuses),
        healthy_checks=counts[CheckStatus.HEALTHY],
        warning_checks=counts[CheckStatus.WARNING],
        error_checks=counts[CheckStatus.ERROR],
        health_percentage=round(100 * counts[CheckStatus.HEALTHY] / len(statuses), 2),
    )
