"""What `dspatch batch` does with a server: upload, look on, act, take the results."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from app.commands.answers import document_of
from app.commands.console import RefusedError, err

Shown: TypeAlias = Mapping[str, Any]
"""What a server shows of something."""

Batch: TypeAlias = Shown

LINES = "application/jsonl"
LOOK_MS = 500
TOLD_FAULTS = 20

_END_BYTES = 64
"""The last line of the results is shorter."""


async def program_id_of(client: httpx.AsyncClient, name: str) -> str:
    """Find the program of a name that is in use; RefusedError where there is none."""
    found = document_of(await client.get("/v1/programs", params={"name": name}))
    ids = [one["program_id"] for one in found["items"] if one["status"] != "archived"]
    if not ids:
        raise RefusedError(f"There is no program {name}.")
    return str(ids[0])


async def upload(
    client: httpx.AsyncClient, program: str, lines: Iterator[bytes], options: Mapping[str, str]
) -> Batch:
    """Make a batch of lines; RefusedError tells the first faults."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in lines:
            yield piece

    path = f"/v1/programs/{await program_id_of(client, program)}/batches"
    headers = {"Content-Type": LINES}
    answer = await client.post(path, content=pieces(), params=options, headers=headers)
    if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        raise RefusedError(_told(answer.json()))
    return document_of(answer)


def _told(problem: Mapping[str, Any]) -> str:
    faults = problem.get("errors", [])
    count = problem.get("error_count", len(faults))
    lines = [f"{fault['path']}: {fault['message']}" for fault in faults[:TOLD_FAULTS]]
    more = [f"… and {count - len(lines)} more"] if count > len(lines) else []
    return "\n".join([problem["detail"], *lines, *more])


async def look_on(client: httpx.AsyncClient, batch: Batch, stopped: asyncio.Event) -> Batch:
    """Show how far a batch is until it has ended, or somebody has stopped looking on."""
    with _bar(batch) as show:
        while batch["finished_at"] is None and not stopped.is_set():
            batch = await read(client, batch["batch_id"], wait_ms=LOOK_MS)
            show(batch)
    return batch


async def read(client: httpx.AsyncClient, batch_id: str, **params: int) -> Batch:
    """Read a batch; RefusedError where there is none."""
    return document_of(await client.get(f"/v1/batches/{batch_id}", params=params))


async def act(
    client: httpx.AsyncClient, batch_id: str, what: str, body: Any = None
) -> dict[str, Any]:
    """Have something done with a batch: `pause`, `resume`, `cancel`, `retry-failed`."""
    return document_of(await client.post(f"/v1/batches/{batch_id}/{what}", json=body))


async def redeliver(client: httpx.AsyncClient, batch_id: str, delivery_id: str | None) -> Shown:
    """Have a delivery posted anew, the newest where none is named; RefusedError without any."""
    path = f"/v1/batches/{batch_id}/deliveries"
    if delivery_id is None:
        newest = document_of(await client.get(path, params={"limit": 1}))["items"]
        if not newest:
            raise RefusedError(f"Batch {batch_id} has told no receiver anything.")
        delivery_id = newest[0]["delivery_id"]
    return document_of(await client.post(f"{path}/{delivery_id}/redeliver"))


async def save(client: httpx.AsyncClient, batch_id: str, out: Path) -> None:
    """Write the results to a file, which is there when all of them are."""
    partial, end = out.with_name(f"{out.name}.partial"), b""
    path, headers = f"/v1/batches/{batch_id}/results", {"Accept": LINES}
    async with client.stream("GET", path, headers=headers) as answer:
        if answer.is_error:
            await answer.aread()
            document_of(answer)
        with partial.open("wb") as file:
            async for chunk in answer.aiter_bytes():
                file.write(chunk)
                end = (end + chunk)[-_END_BYTES:]
    if b'"end":true' not in end:
        raise RefusedError(f"The results broke off; what came stands in {partial}.")
    partial.replace(out)


@contextmanager
def interrupts() -> Iterator[asyncio.Event]:
    """Give what is set at Ctrl-C, which otherwise does nothing until the block ends."""
    loop, pressed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGINT, pressed.set)
    try:
        yield pressed
    finally:
        loop.remove_signal_handler(signal.SIGINT)


@contextmanager
def _bar(batch: Batch) -> Iterator[Callable[[Batch], None]]:
    columns = (
        TextColumn("{task.fields[status]:9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        task = progress.add_task("", total=batch["total_items"], status=batch["status"], told="")

        def show(now: Batch) -> None:
            done = now["progress"]["done"]
            progress.update(task, completed=done, status=now["status"], told=_rate_of(now))

        show(batch)
        yield show


def _rate_of(batch: Batch) -> str:
    progress = batch["progress"]
    left = progress["eta_ms"]
    parts = [f"{progress['rate_per_s']:.1f}/s"]
    parts += [] if left is None else [f"{left / 1_000:.0f} s left"]
    parts += [f"{batch['failed_items']} failed"] if batch["failed_items"] else []
    return ", ".join(parts)
