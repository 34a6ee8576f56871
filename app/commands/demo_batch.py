"""The demo's batch: two dozen texts, read side by side, paused and resumed on the way."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Self

import httpx
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.commands.answers import document_of
from app.commands.console import out

TEXTS = (
    "Her train leaves Madrid at noon.",
    "He moved from Boston to Chicago last year.",
    "The bridge in Prague is very old.",
    "They sell fish in Lisbon and Porto.",
    "We met in Athens in the spring.",
    "It rained in Dublin all week.",
    "The ship sailed from Hamburg to Oslo.",
    "The museum in Vienna is closed on Mondays.",
    "My sister studies in Berlin.",
    "The flight from Cairo to Nairobi is late.",
    "The market in Seoul opens early.",
    "They were married in Rome.",
    "The marathon ends in Boston.",
    "Snow fell in Moscow and Helsinki.",
    "The opera house in Sydney is famous.",
    "She wrote the book in Paris.",
    "The office in Toronto has moved.",
    "The road from Lima to Cusco is long.",
    "He plays football in Madrid.",
    "The conference is in Warsaw.",
    "The tower in Tokyo is red.",
    "They drove from Milan to Venice.",
    "The river flows through London.",
    "The school in Denver has a garden.",
)

_OPTIONS = {"max_concurrency": 2, "batch_size": 1}
"""The local model gives two answers at a time."""

_LOOK_MS = 200
_PAUSE_S = 1.0

Batch = Mapping[str, Any]


async def run_batch(client: httpx.AsyncClient, program_id: str) -> Table:
    """Run the batch with a bar; pause it after a third. Give the table of its results."""
    body = {"batch_inputs": [{"text": one} for one in TEXTS], "batch_options": _OPTIONS}
    accepted = document_of(await client.post(f"/v1/programs/{program_id}/batches", json=body))
    path = f"/v1/batches/{accepted['batch_id']}"
    with _Bar(client, path) as bar:
        batch = await bar.until("Batch", lambda one: one["progress"]["done"] >= len(TEXTS) // 3)
        if batch["finished_at"] is None:
            await _pause(client, path, bar)
            batch = await bar.until("Resumed", lambda one: one["finished_at"] is not None)
    wanted = f"include=inputs&limit={len(TEXTS)}"
    results = document_of(await client.get(f"{path}/results?{wanted}"))
    return _table(batch, results["items"])


async def _pause(client: httpx.AsyncClient, path: str, bar: "_Bar") -> None:
    """Pause until what ran has ended, and a moment longer."""
    document_of(await client.post(f"{path}/pause"))
    await bar.until("Paused", lambda one: one["running_items"] == 0)
    await asyncio.sleep(_PAUSE_S)
    document_of(await client.post(f"{path}/resume"))


class _Bar:
    """A bar that shows how far a batch is."""

    def __init__(self, client: httpx.AsyncClient, path: str) -> None:
        self._client = client
        self._path = path
        columns = (TextColumn("{task.description:9}"), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(*columns, TimeElapsedColumn(), console=out)
        self._task = self._progress.add_task("", total=len(TEXTS))

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    async def until(self, word: str, is_so: Callable[[Batch], bool]) -> Batch:
        """Look again and again until it is so or the batch has ended; give the batch."""
        while True:
            answer = await self._client.get(self._path, params={"wait_ms": _LOOK_MS})
            batch = document_of(answer)
            self._progress.update(self._task, description=word, completed=batch["progress"]["done"])
            if is_so(batch) or batch["finished_at"] is not None:
                return batch


def _table(batch: Batch, results: list[Batch]) -> Table:
    usage, shares = batch["usage"], batch["percentiles"]
    table = Table(
        *("item", "status", "ms", "text", "cities"),
        title=f"Batch: {batch['status']}, {batch['successful_items']} of {batch['total_items']} "
        f"completed in {batch['total_duration_ms'] / 1_000:.1f} s, median {shares['p50']:.0f} ms, "
        f"{usage['total_tokens']} tokens",
    )
    for one in results:
        shown = one["outputs"]["cities"] if one["outputs"] else one["error"]["message"]
        table.add_row(
            str(one["index"]),
            one["status"],
            f"{one['duration_ms']:.0f}",
            escape(one["inputs"]["text"]),
            escape(str(shown)),
        )
    return table
