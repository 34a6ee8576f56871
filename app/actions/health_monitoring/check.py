"""What every health check is given, and what it gives back."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.adapters.registry import AdapterRegistry
from app.database import Database
from app.policies.clock import Clock
from app.policies.drain import Drain
from app.processes.vitals import Vitals


class CheckLevel(StrEnum):
    """How much is looked at; each level looks at what those before it do, too."""

    STANDARD = "standard"
    """Whether this process and what it stands on work."""
    COMPREHENSIVE = "comprehensive"
    """And how executions went, what is used, what goes wrong, how much more would go."""
    DEEP = "deep"
    """And whether each adapter runs a program, which calls its model."""


class CheckStatus(StrEnum):
    """What a check makes of what it found, from good to bad."""

    HEALTHY = "healthy"
    WARNING = "warning"
    """It works, and somebody should look at it."""
    ERROR = "error"
    """It does not work, or nobody can tell."""


@dataclass(frozen=True)
class Finding:
    """What a check found; `error` says what is wrong."""

    status: CheckStatus
    result: Mapping[str, Any] | None
    error: str | None = None


@dataclass(frozen=True)
class Tools:
    """What checks look at: this process, and what it stands on.

    `database` answers where the pool of requests is exhausted, whose connections by state are
    `pool`, and those who wait for one `waiting`. `tasks` says of each supervised task whether it
    runs. `running` counts the executions of this process.
    """

    database: Database
    adapters: AdapterRegistry
    lms: Collection[str]
    drain: Drain
    clock: Clock
    vitals: Vitals
    pool: Callable[[], Mapping[str, int]]
    waiting: Callable[[], int]
    tasks: Callable[[], Mapping[str, bool]]
    running: Callable[[], int]


Look = Callable[[Tools], Awaitable[Finding]]


@dataclass(frozen=True)
class Check:
    """A look, from which level on it is taken, and how many seconds it may take."""

    name: str
    look: Look
    level: CheckLevel = CheckLevel.STANDARD
    limit_s: float = 5.0


def worst(statuses: Sequence[CheckStatus]) -> CheckStatus:
    """Give the worst of some statuses; healthy where there is none."""
    order = list(CheckStatus)
    return max(statuses, key=order.index, default=CheckStatus.HEALTHY)
