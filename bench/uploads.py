"""Batches at size: `python -m bench.uploads [--items 1000000] [--run 100000] [--slow-s 60]`.

One process serves and does not work. An upload of so many lines, each with a name; then a worker
runs the first of them, which take no time; then all results in one stream, then a reader that takes
a kilobyte a second: items per second, how far the server and the worker grow, bytes on disk,
processor time, and how long any transaction was open beside the slow reader. That the other items
have run is written by SQL in between.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import asyncpg
import httpx
import psutil

from bench.batches import a_process
from bench.house import a_database, cpu_s, postgres_processes

MIB = 1 << 20
OPTIONS = {"max_concurrency": 200, "batch_size": 50}
LINES = {"Accept": "application/jsonl", "Content-Type": "application/jsonl"}
_LINE = b'{"custom_id": "row-%d", "inputs": {"question": "What is the capital of country %d?"}}\n'
_DISK = """
SELECT sum(pg_total_relation_size(inhrelid))::float FROM pg_inherits
WHERE inhparent = 'executions'::regclass
"""
_RUN = """
UPDATE executions SET status = 'completed', outcome = 'success', outputs = '{"answer":"Paris"}',
    duration_ms = 1, started_at = now(), finished_at = now() WHERE batch_id = $1
"""
_OPEN = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float
FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


@dataclass
class Measured:
    """What a piece of work took: seconds, processor seconds of both sides, bytes of growth."""

    wall_s: float = 0.0
    ours_s: float = 0.0
    postgres_s: float = 0.0
    grown: int = 0

    def told(self, items: float, who: str) -> str:
        """Say it for so many items."""
        return (
            f"{items / self.wall_s:8.0f} items/s, {self.ours_s * 1e6 / items:5.0f} us of the "
            f"{who} and {self.postgres_s * 1e6 / items:4.0f} us of PostgreSQL each, the {who} "
            f"grew by {self.grown / MIB:5.1f} MiB"
        )


@contextmanager
def measured(ours: psutil.Process, theirs: list[psutil.Process]) -> Iterator[Measured]:
    """Measure what happens in the block; the growth is that of the largest size seen."""
    found, stop, begun = Measured(), Event(), ours.memory_info().rss

    def look() -> None:
        while not stop.wait(0.05):
            found.grown = max(found.grown, ours.memory_info().rss - begun)

    looking = Thread(target=look)
    looking.start()
    since, before, before_theirs = time.perf_counter(), cpu_s([ours]), cpu_s(theirs)
    try:
        yield found
    finally:
        stop.set()
        looking.join()
        found.wall_s = time.perf_counter() - since
        found.ours_s = cpu_s([ours]) - before
        found.postgres_s = cpu_s(theirs) - before_theirs


def lines(items: int) -> Iterator[bytes]:
    """Write the lines of an upload, about 100 bytes each, a thousand at once."""
    for start in range(0, items, 1_000):
        yield b"".join(
            _LINE % (number, number) for number in range(start, min(start + 1_000, items))
        )


def a_program(client: httpx.Client) -> str:
    """Register a program; give the path of its batches."""
    signature = {"name": "answer", "notation": "question: string -> answer: string"}
    made = client.post("/v1/signatures", json=signature).raise_for_status().json()
    body = {
        "name": f"answers_{os.urandom(4).hex()}",
        "signature_id": made["signature_id"],
        "module": "predict",
        "adapter": "mock",
    }
    program = client.post("/v1/programs", json=body).raise_for_status().json()
    return f"/v1/programs/{program['program_id']}/batches"


def upload(client: httpx.Client, path: str, items: int) -> str:
    """Upload so many items; give the batch's id."""
    answer = client.post(path, content=lines(items), headers=LINES, params=OPTIONS)
    batch = answer.raise_for_status().json()
    if batch["total_items"] != items:
        raise RuntimeError(f"{batch['total_items']} items are there")
    return str(batch["batch_id"])


@dataclass(frozen=True)
class Bench:
    """A server, what it takes batches for, and the database that it shares with others."""

    server: psutil.Process
    client: httpx.Client
    path: str
    url: str
    folder: Path

    def timed(self, work: Callable[[], Any], items: int) -> Any:
        """Do something with so many items; print what it took the server."""
        with measured(self.server, postgres_processes(self.folder)) as found:
            given = work()
        print(found.told(items, "server"), flush=True)
        return given


def run_first(bench: Bench, batch_id: str, count: int) -> None:
    """Have a worker run the first items of a batch that waits; print what it took."""
    client, address = bench.client, f"/v1/batches/{batch_id}"
    client.post(f"{address}/pause").raise_for_status()
    with a_process(bench.url, works=True) as (worker, _):
        few = upload(client, bench.path, 1_000)
        while client.get(f"/v1/batches/{few}?wait_ms=60000").json()["finished_at"] is None:
            pass
        with measured(worker, postgres_processes(bench.folder)) as found:
            client.post(f"{address}/resume").raise_for_status()
            while (done := client.get(address).json()["progress"]["done"]) < count:
                time.sleep(1)
            client.post(f"{address}/pause").raise_for_status()
        print(found.told(done, "worker"), flush=True)


def read(client: httpx.Client, batch_id: str, items: int) -> int:
    """Read all results; give their bytes."""
    size, end = 0, b""
    with client.stream("GET", f"/v1/batches/{batch_id}/results", headers=LINES) as answer:
        for chunk in answer.iter_raw():
            size, end = size + len(chunk), (end + chunk)[-100:]
    if not end.endswith(b'{"end":true,"count":%d}\n' % items):
        raise RuntimeError(f"the stream ended with {end!r}")
    return size


def read_slowly(client: httpx.Client, batch_id: str, seconds: float, url: str) -> float:
    """Read a kilobyte a second for so long; give the longest that any transaction was open."""
    longest, until = 0.0, time.monotonic() + seconds
    with client.stream("GET", f"/v1/batches/{batch_id}/results", headers=LINES) as answer:
        pieces = answer.iter_raw(1_024)
        while time.monotonic() < until:
            next(pieces)
            longest = max(longest, asked(url, _OPEN))
            time.sleep(1)
    return longest


def asked(url: str, query: str, *arguments: Any) -> float:
    """Ask the database for one figure."""

    async def ask() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    return float(asyncio.run(ask()) or 0)


def report(bench: Bench, items: int, run: int, slow_s: float) -> None:
    """Print every figure as soon as it is there."""
    client, path, url = bench.client, bench.path, bench.url
    client.get(f"/v1/batches/{upload(client, path, 1_000)}/results", headers=LINES)
    disk = asked(url, _DISK)
    print(f"upload of {items} items:")
    batch_id = bench.timed(lambda: upload(client, path, items), items)
    print(f"{(asked(url, _DISK) - disk) / items:.0f} bytes on disk each", flush=True)
    print(f"the first {run} run:")
    run_first(bench, batch_id, run)
    asked(url, _RUN, batch_id)
    print("all results in one stream:")
    size = bench.timed(lambda: read(client, batch_id, items), items)
    print(f"{size / items:.0f} bytes each", flush=True)
    longest = read_slowly(client, batch_id, slow_s, url)
    print(f"beside a slow reader no transaction was open for more than {longest * 1_000:.0f} ms")


def main() -> None:
    """Print a figure a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--run", type=int, default=100_000)
    parser.add_argument("--slow-s", type=float, default=60)
    told = parser.parse_args()
    with (
        a_database() as (url, folder),
        a_process(url, works=False) as (server, address),
        httpx.Client(base_url=address, timeout=3_600) as client,
    ):
        bench = Bench(server, client, a_program(client), url, folder)
        report(bench, told.items, told.run, told.slow_s)


if __name__ == "__main__":
    main()
