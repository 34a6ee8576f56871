"""`dspatch check`: whether what Dspatch stands on is in order, before its start or beside it."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from app.actions.health_monitoring import CHECKS, HealthMonitoring, HealthMonitoringInput
from app.actions.health_monitoring.check import Check, CheckLevel, CheckStatus, Tools
from app.actions.health_monitoring.database_connections import look_at_connections
from app.actions.health_monitoring.database_schema import look_at_schema
from app.adapters.lm_limits import LMLimiters
from app.adapters.registry import AdapterRegistry
from app.adapters.setup import AdapterSetup
from app.api.health_views import CheckView, HealthChecks, HealthReport
from app.api.views import View
from app.commands.console import BAD_NEWS, out
from app.commands.on_database import on_database
from app.commands.options import DEFAULT_DATA_DIR, AsJSON, Config, DataDir, LocalDatabase
from app.database import Database
from app.policies.clock import SystemClock
from app.policies.drain import Drain
from app.processes.vitals import Vitals
from app.runtime import connections_of
from app.settings import Settings
from app.telemetry.metrics import Metrics

_COLOURS = {
    CheckStatus.HEALTHY: "green",
    CheckStatus.WARNING: "yellow",
    CheckStatus.ERROR: "red",
}


class SchemaView(View):
    """The schema of the database."""

    at_head: bool


class SchemaCheck(CheckView):
    """Whether the schema is the one of this program."""

    result: SchemaView | None


class ConnectionsView(View):
    """Connections of the database."""

    available: int
    in_use: int
    per_process: dict[str, int]
    per_process_total: int
    live_processes: int
    needed: int


class ConnectionsCheck(CheckView):
    """Whether there are enough for all processes."""

    result: ConnectionsView | None


class OperatorChecks(HealthChecks):
    """The checks of a level, and those that only an operator asks for."""

    database_schema: SchemaCheck
    database_connections: ConnectionsCheck


class OperatorReport(HealthReport):
    """What was found."""

    checks: OperatorChecks


def check(
    *,
    level: Annotated[
        CheckLevel, typer.Option(help="How much to look at; deep calls the adapters' models.")
    ] = CheckLevel.STANDARD,
    as_json: AsJSON = False,
    config: Config = None,
    local: LocalDatabase = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Look at the database, its schema and connections, and at every adapter; exit 1 on an error.

    For example `dspatch check --config dspatch.toml`, or `dspatch check --level deep --json`.
    """
    report = on_database(
        lambda database, settings: _report(database, settings, level),
        config,
        data_dir if local else None,
        needs_head=False,
    )
    document = report.model_dump(mode="json")
    if as_json:
        out.print_json(data=document)
    else:
        out.print(_table(document))
    if report.overall_status is CheckStatus.ERROR:
        raise typer.Exit(BAD_NEWS)


async def _report(database: Database, settings: Settings, level: CheckLevel) -> OperatorReport:
    """Run the checks; no process is entered among those that work."""
    clock, metrics = SystemClock(), Metrics()
    limiters = LMLimiters(settings.lms, clock)
    shared = AdapterSetup("", lms=settings.lms, clock=clock, metrics=metrics, limiters=limiters)
    adapters = AdapterRegistry.from_settings(settings.adapters, shared)
    tools = Tools(
        database=database,
        adapters=adapters,
        lms=settings.lms,
        drain=Drain(),
        clock=clock,
        vitals=Vitals(clock),
        pool=database.pool_counts,
        waiting=database.pool_waiting,
        tasks=dict,
        running=lambda: 0,
    )
    monitor = HealthMonitoring(tools, metrics, (*CHECKS, *_of_operators(settings)))
    try:
        return OperatorReport.model_validate(await monitor(HealthMonitoringInput(level)))
    finally:
        await adapters.cleanup()


def _of_operators(settings: Settings) -> tuple[Check, Check]:
    look = partial(look_at_connections, per_process=connections_of(settings))
    return Check("database_schema", look_at_schema), Check("database_connections", look)


def _table(document: Mapping[str, Any]) -> Table:
    summary, status = document["summary"], document["overall_status"]
    table = Table("check", "status", "ms", "found", show_lines=True)
    table.title = (
        f"{status}: {summary['healthy_checks']} of {summary['total_checks']} checks are healthy"
    )
    for name, found in document["checks"].items():
        colour = _COLOURS[CheckStatus(found["status"])]
        lines = [found["error"]] if "error" in found else []
        lines += [f"{path}: {value}" for path, value in _leaves(found["result"])]
        table.add_row(
            name,
            f"[{colour}]{found['status']}[/]",
            f"{found['duration_ms']:.0f}",
            escape("\n".join(lines)),
        )
    return table


def _leaves(found: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Give each figure of a result with the words that lead to it."""
    match found:
        case dict():
            for name, value in found.items():
                yield from _leaves(value, *path, name)
        case list() if any(isinstance(value, dict) for value in found):
            for number, value in enumerate(found, start=1):
                yield from _leaves(value, *path, str(number))
        case list():
            yield " ".join(path), ", ".join(map(str, found)) or "none"
        case float():
            yield " ".join(path), f"{round(found, 3):,}"
        case None if path:
            yield " ".join(path), "none"
        case None:
            return
        case _:
            yield " ".join(path), found
