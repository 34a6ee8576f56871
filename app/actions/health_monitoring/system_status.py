"""Check: this process, its tasks, its memory, and what else the machine limits."""

import asyncio
from enum import StrEnum
from typing import Any

from app.actions.health_monitoring.check import CheckStatus, Finding, Tools
from app.telemetry.footprint import Footprint

MB = 1024 * 1024

MEDIUM_SHARE = 0.6
HIGH_SHARE = 0.8
MEDIUM_BYTES = 500 * MB
HIGH_BYTES = 1024 * MB
"""Memory where no container limits it."""


class Level(StrEnum):
    """How much of something is used."""

    NORMAL = "normal"
    MEDIUM = "medium"
    HIGH = "high"


async def look_at_system(tools: Tools) -> Finding:
    """Look at this process; what fails is an error, what runs short a warning."""
    footprint = await tools.vitals.footprint()
    tasks = tools.tasks()
    down = [name for name, is_running in tasks.items() if not is_running]
    memory, processes = _memory(footprint), _processes(footprint)
    short = [
        name
        for name, part in (("memory_usage", memory), ("process_count", processes))
        if part["status"] == Level.HIGH
    ]
    result = {
        "components": {
            "application": {"status": "draining" if tools.drain.has_begun else "running"},
            "supervision_tree": {
                "total_children": len(tasks),
                "running_children": len(tasks) - len(down),
                "all_running": not down,
            },
            "memory_usage": memory,
            "process_count": processes,
        },
        "failed_components": [*(["supervision_tree"] if down else []), *short],
        "uptime_ms": tools.vitals.uptime_s * 1_000,
    }
    if down:
        return Finding(CheckStatus.ERROR, result, f"start again after a failure: {', '.join(down)}")
    if short:
        return Finding(CheckStatus.WARNING, result, f"high: {', '.join(short)}")
    return Finding(CheckStatus.HEALTHY, result)


def _memory(footprint: Footprint) -> dict[str, Any]:
    used, limit = footprint.total_bytes, footprint.limit_bytes
    medium = MEDIUM_BYTES if limit is None else limit * MEDIUM_SHARE
    high = HIGH_BYTES if limit is None else limit * HIGH_SHARE
    return {
        "total_mb": used / MB,
        "process_mb": footprint.process_bytes / MB,
        "limit_mb": limit and limit / MB,
        "status": _level(used, medium, high),
    }


def _processes(footprint: Footprint) -> dict[str, Any]:
    share = used_share(footprint.process_count, footprint.process_limit)
    of_descriptors = used_share(footprint.file_descriptors, footprint.file_descriptor_limit)
    return {
        "process_count": footprint.process_count,
        "process_limit": footprint.process_limit,
        "usage_percent": share * 100,
        "status": _level(max(share, of_descriptors), MEDIUM_SHARE, HIGH_SHARE),
        "tasks": len(asyncio.all_tasks()),
        "threads": footprint.threads,
        "file_descriptors": footprint.file_descriptors,
        "file_descriptor_limit": footprint.file_descriptor_limit,
    }


def used_share(used: int, limit: int | None) -> float:
    """Give the part of a limit that is used; nothing of what has no limit."""
    return 0.0 if limit is None else used / limit


def _level(used: float, medium: float, high: float) -> Level:
    if used > high:
        return Level.HIGH
    return Level.MEDIUM if used > medium else Level.NORMAL
