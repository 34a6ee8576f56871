"""Background executions: how many a second, and how soon they are picked up.

`python -m bench.background [--requests 4000] [--clients 32] [--workers 0]`

One server accepts executions on the instant `mock` and works; `--workers` work beside it. CPU is
per execution, of all who serve and work, and PostgreSQL's apart. The pick-up is measured on an idle
house, one execution after the other.
"""

import argparse
import asyncio
import statistics
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import asyncpg
import httpx

from bench.house import (
    BODY,
    a_database,
    cpu_s,
    free_port,
    load,
    postgres_processes,
    program_path,
    started,
    wait_for,
)

ASYNC = {"Prefer": "respond-async"}
ACCEPTED: Mapping[str, Any] = {"headers": ASYNC, "status": 202}
IDLE_RUNS = 50
WARM_UP = 200
NOTHING_LEFT = "SELECT count(*) = 0 FROM executions WHERE finished_at IS NULL"


async def ask(url: str, query: str) -> Any:
    """Read one value."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def until(url: str, query: str) -> None:
    """Return when the answer to a question is yes."""
    while not asyncio.run(ask(url, query)):
        sleep(0.05)


async def pick_ups_ms(url: str, port: int, path: str) -> list[float]:
    """Accept one after the other; give how long each waited to be claimed."""
    headers = {**ASYNC, "Content-Type": "application/json"}
    base = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=base, headers=headers) as client:
        for _ in range(IDLE_RUNS):
            answer = await client.post(path, content=BODY)
            await client.get(answer.headers["location"], params={"wait_ms": 10_000})
    connection = await asyncpg.connect(url)
    query = """
        SELECT extract(epoch FROM started_at - created_at) * 1000 AS ms FROM executions
        ORDER BY id DESC LIMIT $1
    """
    rows = await connection.fetch(query, IDLE_RUNS)
    await connection.close()
    return sorted(float(row["ms"]) for row in rows)


def measure(url: str, folder: Path, wanted: argparse.Namespace) -> dict[str, float]:
    """Load a house, and give the figures."""
    port = free_port()
    environment = {"DSPATCH_DATABASE__URL": url, "DSPATCH_AUTH__MODE": "none"}
    with ExitStack() as stack:
        ours = [
            stack.enter_context(
                started("bench.servers", "recorder", str(port), url, environment={})
            )
        ]
        wait_for(port)
        ours += [
            stack.enter_context(started("app", "worker", environment=environment))
            for _ in range(wanted.workers)
        ]
        path = program_path(port, "recorder")
        until(url, f"SELECT count(*) > {wanted.workers} FROM job_workers")  # noqa: S608 - a number
        load(port, path, WARM_UP, wanted.clients, **ACCEPTED)
        until(url, NOTHING_LEFT)
        theirs = postgres_processes(folder)
        cpu, cpu_theirs, began = cpu_s(ours), cpu_s(theirs), monotonic()
        figures = load(port, path, wanted.requests, wanted.clients, **ACCEPTED)
        until(url, NOTHING_LEFT)
        seconds = monotonic() - began
        waits = asyncio.run(pick_ups_ms(url, port, path))
        return {
            "accepted_per_s": figures["per_s"],
            "ended_per_s": wanted.requests / seconds,
            "cpu_ms": (cpu_s(ours) - cpu) * 1_000 / wanted.requests,
            "postgres_ms": (cpu_s(theirs) - cpu_theirs) * 1_000 / wanted.requests,
            "pick_up_p50_ms": statistics.median(waits),
            "pick_up_p95_ms": waits[round(len(waits) * 0.95) - 1],
        }


def main() -> None:
    """Measure on a PostgreSQL of our own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=4_000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--workers", type=int, default=0)
    wanted = parser.parse_args()
    with a_database() as (url, folder):
        figures = measure(url, folder, wanted)
    for name, figure in figures.items():
        print(f"{name:16} {figure:8.1f}")


if __name__ == "__main__":
    main()
