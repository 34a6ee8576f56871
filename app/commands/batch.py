"""`dspatch batch`: run a file as a batch on a server, look after batches."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import typer

from app.api.batch_uploads import value_of
from app.commands.batch_files import KINDS, lines_of
from app.commands.batch_run import (
    Batch,
    Shown,
    act,
    interrupts,
    look_on,
    read,
    redeliver,
    save,
    upload,
)
from app.commands.client import DEFAULT_SERVER, Server, a_client
from app.commands.console import BAD_NEWS, err, out, plain_errors
from app.commands.options import AsJSON

batch = typer.Typer(name="batch", help="Run batches on a server.", no_args_is_help=True)

BatchId = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id.")]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option", "-o", metavar="NAME=VALUE", help="An option of the batch; may be given again."
    ),
]


@batch.command("run")
def run_batch(  # noqa: PLR0913 - options of the command line
    file: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, help=f"The items: {', '.join(KINDS)}."),
    ] = None,
    *,
    program: Annotated[str | None, typer.Option(help="The program's name.")] = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Where the results go, in order, a line each.")
    ] = None,
    option: Options = None,
    resume: Annotated[
        str | None, typer.Option(metavar="BATCH", help="Go on with a batch that was left running.")
    ] = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJSON = False,
) -> None:
    """Upload a file as a batch, look on until it has ended, and save what came of it.

    Exits with 1 where an item failed. Ctrl-C asks whether to cancel the batch or leave it running.
    A line of a JSON Lines file is an item's inputs or {"custom_id", "inputs"}; a row of a CSV or
    Parquet file is an item's inputs. For example `dspatch batch run rows.jsonl --program answers
    --out results.jsonl`, `dspatch batch run rows.csv --program answers -o max_concurrency=16`, or
    `dspatch batch run --resume BATCH --out results.jsonl`.
    """
    if (file is None) == (resume is None):
        raise typer.BadParameter("give a FILE, or --resume BATCH")
    if file is not None and program is None:
        raise typer.BadParameter("give the --program")

    async def begin(client: httpx.AsyncClient) -> Batch:
        if file is None or program is None:
            return await _resumed(client, str(resume))
        return await upload(client, program, lines, options)

    options = _named(option)
    lines: Iterator[bytes] = iter(()) if file is None else lines_of(file)
    run = _Run(begin, out_file, _wants_cancel)
    ended = _on_server(server, run)
    _show(ended, as_json=as_json)
    is_good = ended["status"] == "completed" and not ended["failed_items"]
    raise typer.Exit(0 if is_good else BAD_NEWS)


@batch.command("status")
def show_batch(
    batch_id: BatchId, *, server: Server = DEFAULT_SERVER, as_json: AsJSON = False
) -> None:
    """Say how far a batch is.

    For example `dspatch batch status BATCH --server https://dspatch.example.com`.
    """
    _show(_on_server(server, lambda client: read(client, batch_id)), as_json=as_json)


@batch.command("pause")
def pause_batch(
    batch_id: BatchId, *, server: Server = DEFAULT_SERVER, as_json: AsJSON = False
) -> None:
    """Hand out no more items; what runs ends.

    For example `dspatch batch pause BATCH`.
    """
    _show(_on_server(server, lambda client: act(client, batch_id, "pause")), as_json=as_json)


@batch.command("resume")
def resume_batch(
    batch_id: BatchId, *, server: Server = DEFAULT_SERVER, as_json: AsJSON = False
) -> None:
    """Hand out items again.

    For example `dspatch batch resume BATCH`.
    """
    _show(_on_server(server, lambda client: act(client, batch_id, "resume")), as_json=as_json)


@batch.command("cancel")
def cancel_batch(
    batch_id: BatchId, *, server: Server = DEFAULT_SERVER, as_json: AsJSON = False
) -> None:
    """Stop what runs, and end the rest; what has ended stays.

    For example `dspatch batch cancel BATCH`.
    """
    _show(_on_server(server, lambda client: act(client, batch_id, "cancel")), as_json=as_json)


@batch.command("retry")
def retry_batch(
    batch_id: BatchId,
    *,
    option: Options = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJSON = False,
) -> None:
    """Run what failed or never ran once more, as a new batch.

    For example `dspatch batch retry BATCH -o max_concurrency=2`.
    """
    body = {"batch_options": {name: value_of(text) for name, text in _named(option).items()}}
    made = _on_server(server, lambda client: act(client, batch_id, "retry-failed", body))
    _show(made, as_json=as_json)


@batch.command("redeliver")
def redeliver_webhook(
    batch_id: BatchId,
    *,
    delivery: Annotated[
        str | None, typer.Option(metavar="ID", help="A webhook-id, instead of the newest one's.")
    ] = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJSON = False,
) -> None:
    """Have a webhook posted once more: the batch's newest, or the one that is named.

    For example `dspatch batch redeliver BATCH`, or `dspatch batch redeliver BATCH --delivery ID`.
    """
    posted = _on_server(server, lambda client: redeliver(client, batch_id, delivery))
    if as_json:
        out.print_json(data=dict(posted))
        return
    told = f"{posted['type']} ({posted['delivery_id']}) is {posted['status']}."
    out.print(told, soft_wrap=True, highlight=False)


@dataclass(frozen=True)
class _Run:
    """A batch from its beginning to its end, and to the file of its results."""

    begin: Callable[[httpx.AsyncClient], Awaitable[Batch]]
    out: Path | None
    wants_cancel: Callable[[], bool]

    async def __call__(self, client: httpx.AsyncClient) -> Batch:
        batch = await self.begin(client)
        err.print(f"The batch is {batch['batch_id']}.", soft_wrap=True, highlight=False)
        with interrupts() as stopped:
            batch = await look_on(client, batch, stopped)
        if batch["finished_at"] is None:
            if not self.wants_cancel():
                return batch
            batch = await act(client, batch["batch_id"], "cancel")
            batch = await look_on(client, batch, asyncio.Event())
        if self.out is not None:
            await save(client, batch["batch_id"], self.out)
        return batch


def _wants_cancel() -> bool:
    """Ask a person; where nobody is there, the batch is left running."""
    return sys.stdin.isatty() and typer.confirm("Cancel the batch, which runs on otherwise?")


async def _resumed(client: httpx.AsyncClient, batch_id: str) -> Batch:
    found = await read(client, batch_id)
    return await act(client, batch_id, "resume") if found["status"] == "paused" else found


def _on_server(server: str, work: Callable[[httpx.AsyncClient], Awaitable[Shown]]) -> Shown:
    async def run() -> Shown:
        async with a_client(server) as client:
            return await work(client)

    with plain_errors():
        return asyncio.run(run())


def _named(options: list[str] | None) -> Mapping[str, str]:
    named = dict[str, str]()
    for one in options or ():
        name, is_given, value = one.partition("=")
        if not (name and is_given):
            raise typer.BadParameter(f"{one} is not NAME=VALUE")
        named[name] = value
    return named


def _show(batch: Batch, *, as_json: bool) -> None:
    if as_json:
        out.print_json(data=dict(batch))
        return
    told = (
        f"Batch {batch['batch_id']} is {batch['status']}: {batch['progress']['done']} of "
        f"{batch['total_items']} ended, {batch['failed_items']} failed."
    )
    if batch["finished_at"] is None:
        told += f" Go on with `dspatch batch run --resume {batch['batch_id']}`."
    out.print(told, soft_wrap=True, highlight=False)
