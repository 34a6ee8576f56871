"""What `dspatch batch` does with a server: upload, look on, act, take the results."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import httpx
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential,
)

from app.commands.answers import AwayError, document_of
from app.commands.console import RefusedError, err

Shown: TypeAlias = Mapping[str, Any]
"""What a server shows of something."""

Batch: TypeAlias = Shown

LINES = "application/jsonl"
LOOK_MS = 500
TOLD_FAULTS = 20

PATIENCE_S = 60.0
"""How long a server may be away while somebody looks on: his batch runs, or waits for it."""
ANSWER_S = 30.0
"""How long it may take to say how far a batch is, before it is asked again."""

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
            batch = await _patiently(partial(_look, client, batch["batch_id"]), stopped)
            show(batch)
    return batch


async def _look(client: httpx.AsyncClient, batch_id: str) -> Batch:
    path, params = f"/v1/batches/{batch_id}", {"wait_ms": LOOK_MS}
    return document_of(await client.get(path, params=params, timeout=ANSWER_S))


async def _patiently(look: Callable[[], Awaitable[Batch]], stopped: asyncio.Event) -> Batch:
    """Ask until there is an answer; raises the last failure, also where somebody stops."""
    is_too_long = stop_after_delay(PATIENCE_S)
    looking = AsyncRetrying(
        retry=retry_if_exception_type((httpx.TransportError, AwayError)),
        wait=wait_exponential(multiplier=0.1, max=2),
        stop=lambda state: stopped.is_set() or is_too_long(state),
        reraise=True,
    )
    return await looking(look)


async def read(client: httpx.AsyncClient, batch_id: str) -> Batch:
    """Read a batch; RefusedError where there is none."""
    return document_of(await client.get(f"/v1/batches/{batch_id}"))


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
