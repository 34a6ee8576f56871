"""Batches on real processes: `python -m bench.batches [--items 10000] [--workers 1,2]`.

One process serves and does not work; others work. With a model that takes 50 ms the wall time is
held against the ideal schedule; with an instant one the items per second are what the records
cost: processor time of the workers and of PostgreSQL, bytes of WAL and on disk, per item.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil

from bench.house import a_database, cpu_s, postgres_processes

_SERVING = re.compile(r"Dspatch serves on (http://\S+)")
_USED = """
SELECT pg_current_wal_insert_lsn() - '0/0' AS wal,
    (SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits
     WHERE inhparent = 'executions'::regclass) AS disk
"""


@contextmanager
def a_process(url: str, *, works: bool) -> Iterator[tuple[psutil.Process, str]]:
    """Serve on a free port, in a process that takes lanes or does not."""
    environment = {
        "DSPATCH_DATABASE__URL": url,
        "DSPATCH_AUTH__MODE": "none",
        "DSPATCH_WORKER__EMBEDDED": str(works),
        "DSPATCH_SERVER__DRAIN_DELAY_MS": "0",
        "DSPATCH_LOGGING__LEVEL": "warning",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "app", "serve", "--port", "0"],
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        text=True,
    ) as process:
        assert process.stderr is not None  # noqa: S101 - it is a pipe
        for line in process.stderr:
            if found := _SERVING.search(line):
                yield psutil.Process(process.pid), found[1]
                break
        process.terminate()


class Bench:
    """A server without work of its own, and the database that all share."""

    def __init__(self, client: httpx.Client, url: str, folder: Path) -> None:
        self._client = client
        self._url = url
        self._folder = folder
        body = {"name": "answer", "notation": "question: string -> answer: string"}
        self._signature_id = client.post("/v1/signatures", json=body).json()["signature_id"]

    def run(self, workers: int, items: int, latency_ms: int, **options: int) -> dict[str, float]:
        """Run a batch over so many workers; give its figures."""
        with ExitStack() as stack:
            running = [
                stack.enter_context(a_process(self._url, works=True))[0] for _ in range(workers)
            ]
            path = self._program(latency_ms)
            self._batch(path, 500, options)
            theirs = postgres_processes(self._folder)
            used = asyncio.run(self._used())
            before, before_theirs = cpu_s(running), cpu_s(theirs)
            batch = self._batch(path, items, options)
            after = asyncio.run(self._used())
            return {
                "wall_s": batch["total_duration_ms"] / 1_000,
                "cpu_ms": (cpu_s(running) - before) * 1_000 / items,
                "postgres_ms": (cpu_s(theirs) - before_theirs) * 1_000 / items,
                "wal_bytes": (after["wal"] - used["wal"]) / items,
                "disk_bytes": (after["disk"] - used["disk"]) / items,
            }

    def _program(self, latency_ms: int) -> str:
        script = {"latency_ms": latency_ms, "outputs": {"answer": "Paris"}}
        body = {
            "name": f"takes_{latency_ms}_{os.urandom(4).hex()}",
            "signature_id": self._signature_id,
            "module": "predict",
            "adapter": "mock",
            "config": {"mock": script},
        }
        program = self._client.post("/v1/programs", json=body).raise_for_status().json()
        return f"/v1/programs/{program['program_id']}/batches"

    def _batch(self, path: str, items: int, options: Mapping[str, int]) -> dict[str, Any]:
        inputs = [{"question": f"What is {number}?"} for number in range(items)]
        body = {"batch_inputs": inputs, "batch_options": dict(options)}
        batch = self._client.post(path, json=body).raise_for_status().json()
        while batch["finished_at"] is None:
            address = f"/v1/batches/{batch['batch_id']}"
            batch = self._client.get(address, params={"wait_ms": 60_000}).json()
        if batch["successful_items"] != items:
            raise RuntimeError(f"{batch['summary']}")
        return dict(batch)

    async def _used(self) -> dict[str, float]:
        connection = await asyncpg.connect(self._url)
        try:
            row = await connection.fetchrow(_USED)
            assert row is not None  # noqa: S101 - aggregates give one
            return {name: float(row[name]) for name in ("wal", "disk")}
        finally:
            await connection.close()


def report(bench: Bench, items: int, workers: list[int]) -> None:
    """Print every figure as soon as it is there."""
    ideal_s = items * 0.050 / 200
    for count in workers:
        timed = bench.run(count, items, 50, max_concurrency=200, batch_size=50)
        print(
            f"{count} workers, 50 ms, 200 at once: {timed['wall_s']:6.2f} s, "
            f"{timed['wall_s'] / ideal_s:4.2f} x the ideal {ideal_s:.2f} s"
        )
    for count in workers:
        instant = bench.run(count, items, 0, max_concurrency=200, batch_size=50)
        print(
            f"{count} workers, instant: {items / instant['wall_s']:6.0f} items/s, "
            f"per item: workers {instant['cpu_ms']:.3f} ms, postgres "
            f"{instant['postgres_ms']:.3f} ms, {instant['wal_bytes']:.0f} bytes of WAL, "
            f"{instant['disk_bytes']:.0f} on disk"
        )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--workers", default="1,2")
    wanted = parser.parse_args()
    workers = [int(count) for count in wanted.workers.split(",")]
    with (
        a_database() as (url, folder),
        a_process(url, works=False) as (_, address),
        httpx.Client(base_url=address, timeout=120) as client,
    ):
        report(Bench(client, url, folder), wanted.items, workers)


if __name__ == "__main__":
    main()
