"""What health checks are given in tests: a process in which all is well, unless told otherwise."""

from typing import Any

from app.actions.health_monitoring.check import Tools
from app.adapters.base import Adapter
from app.adapters.registry import AdapterRegistry
from app.database import Database
from app.policies.drain import Drain
from app.processes.vitals import Vitals
from app.telemetry.footprint import Footprint
from tests.support.clock import ManualClock

MB = 1024 * 1024


def a_footprint(**values: int | None) -> Footprint:
    """Make a process of modest size in a container that limits nothing."""
    modest: dict[str, Any] = {
        "process_bytes": 100 * MB,
        "total_bytes": 200 * MB,
        "limit_bytes": None,
        "free_bytes": 4_000 * MB,
        "process_count": 40,
        "process_limit": 1_000,
        "threads": 30,
        "file_descriptors": 20,
        "file_descriptor_limit": 1_024,
    }
    return Footprint(**{**modest, **values})


def health_tools(database: Database, *adapters: Adapter, **values: Any) -> Tools:
    """Make the tools of checks on a database and these adapters."""
    clock = values.pop("clock", ManualClock())
    footprint = values.pop("footprint", a_footprint())
    usual: dict[str, Any] = {
        "database": database,
        "adapters": AdapterRegistry(adapters),
        "drain": Drain(),
        "clock": clock,
        "vitals": Vitals(clock, lambda: footprint),
        "pool": database.pool_counts,
        "waiting": database.pool_waiting,
        "tasks": dict,
        "running": lambda: 0,
        "lms": (),
    }
    return Tools(**{**usual, **values})
