"""`dspatch cleanup`: find what died or has expired, and mend it."""

from pathlib import Path
from random import Random
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.table import Column, Table

from app.actions.batch_processing.closing import BatchClosing
from app.actions.batch_processing.telling import BatchTelling
from app.actions.resource_cleanup import CleanupInput, CleanupReport, ResourceCleanup
from app.actions.resource_cleanup.archive import Archive
from app.actions.resource_cleanup.category import CategoryName, Tools
from app.adapters.registry import AdapterRegistry
from app.api.cleanup import CleanupView
from app.commands.console import BAD_NEWS, RefusedError, out
from app.commands.on_database import on_database
from app.commands.options import DEFAULT_DATA_DIR, AsJSON, Config, DataDir, LocalDatabase
from app.database import Database
from app.models.ids import Ids
from app.policies.clock import Clock, SystemClock
from app.processes.channel import ControlChannel
from app.settings import Settings
from app.telemetry.metrics import Metrics


def cleanup(  # noqa: PLR0913 - options of the command line
    *,
    apply: Annotated[
        bool, typer.Option("--apply", help="Mend what is found; without, nothing is changed.")
    ] = False,
    category: Annotated[
        list[CategoryName] | None, typer.Option(help="Only this; may be given again.")
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(help="A folder for JSON Lines of the records that --apply deletes."),
    ] = None,
    as_json: AsJSON = False,
    config: Config = None,
    local: LocalDatabase = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Look for what died or has expired; with --apply, mend it.

    For example `dspatch cleanup --config dspatch.toml`, and then
    `dspatch cleanup --apply --category stalled_batches --config dspatch.toml`.
    """
    if archive is not None and not apply:
        raise typer.BadParameter("--archive goes with --apply: a dry run deletes nothing")
    wanted = CleanupInput(category or None, dry_run=not apply)
    report = on_database(
        lambda database, settings: _clean_up(database, settings, wanted, archive),
        config,
        data_dir if local else None,
    )
    if as_json:
        out.print_json(CleanupView.model_validate(report).model_dump_json())
    else:
        _print(report)
    if report.summary.errors:
        raise typer.Exit(BAD_NEWS)


async def _clean_up(
    database: Database, settings: Settings, wanted: CleanupInput, archive: Path | None
) -> CleanupReport:
    """Run the action; what it would tell the processes they find out by looking."""
    clock = SystemClock()
    ids = Ids(clock, await database.clock_offset_s(clock))
    channel = ControlChannel(clock, Random())  # noqa: S311 - jitter, not secrets
    close = BatchClosing(database, channel, Metrics(), BatchTelling(database, ids))
    adapters = AdapterRegistry([])
    kept = None if archive is None else _archive(archive, ids, clock, database)
    tools = Tools(database, channel, close, adapters, ids, clock, settings, kept)
    return await ResourceCleanup(tools)(wanted)


def _archive(folder: Path, ids: Ids, clock: Clock, database: Database) -> Archive:
    """Make the folder, and names for the files of this run that no other has."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RefusedError(f"Cannot archive in {folder}: {error.strerror}.") from None
    run = f"{clock.now():%Y%m%dT%H%M%SZ}-{ids.new().hex[-8:]}"
    return Archive(folder, run, database)


def _print(report: CleanupReport) -> None:
    name_column = Column("category", no_wrap=True)
    table = Table(name_column, "found", "removed", "kept", "freed", "why kept, what failed")
    for name, found in report.categories.items():
        reasons = [f"{count} {why.replace('_', ' ')}" for why, count in found.reasons.items()]
        numbers = map(str, (found.found, found.removed, found.kept))
        freed = decimal(found.bytes_freed)
        table.add_row(name, *numbers, freed, ", ".join([*reasons, *found.errors]))
    out.print(table)
    if report.dry_run:
        would_go = report.summary.found - report.summary.kept
        out.print(f"A dry run: --apply would mend {would_go}.", highlight=False)
