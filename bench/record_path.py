"""What a durable record costs: executions on `mock` over HTTP against a bare FastAPI route.

`python -m bench.record_path [--requests 4000] [--clients 32] [--rounds 3] [--ways bare,recorder]`

Ways: `bare` (no record), `recorder` (as served), `orm` (three ORM transactions, one of them to read
the program). CPU is per execution, the server's and PostgreSQL's apart.
"""

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import psutil
from pydantic import SecretStr

from app.database import Database
from app.local.postgres import LocalPostgres
from app.settings import DatabaseSettings

BODY = json.dumps({"inputs": {"question": "What is the capital of France?"}})
PROGRAM = {
    "name": "answerer",
    "module": "predict",
    "adapter": "mock",
    "config": {"mock": {"outputs": {"answer": "Paris"}}},
}
WARM_UP = 500


def cpu_s(processes: list[psutil.Process]) -> float:
    """Add up the processor time of processes, and of their children that have ended."""
    times = [process.cpu_times() for process in processes]
    return sum(
        one.user
        + one.system
        + getattr(one, "children_user", 0)
        + getattr(one, "children_system", 0)
        for one in times
    )


def postgres_processes(folder: Path) -> list[psutil.Process]:
    """Find PostgreSQL's own processes by the file in which it says who it is."""
    number = int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    head = psutil.Process(number)
    return [head, *head.children(recursive=True)]


def free_port() -> int:
    """Find a port that nobody uses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait_for(port: int) -> None:
    """Return when somebody listens."""
    deadline = monotonic() + 60
    while monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        sleep(0.05)
    raise TimeoutError("the server does not come up")


def program_path(port: int, way: str) -> str:
    """Register a program, where the server has any; give the address to post to."""
    if way == "bare":
        return "/bare"
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        signature = {"name": "answer", "notation": "question: string -> answer: string"}
        made = client.post("/v1/signatures", json=signature).raise_for_status().json()
        body = {**PROGRAM, "name": f"answerer_{way}", "signature_id": made["signature_id"]}
        program = client.post("/v1/programs", json=body).raise_for_status().json()
    return f"/v1/programs/{program['program_id']}/executions"


def load(port: int, path: str, requests: int, clients: int) -> dict[str, float]:
    """Post from a process of its own."""
    told = {"port": port, "path": path, "body": BODY, "requests": requests, "clients": clients}
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(told).encode(),
        capture_output=True,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def measure(way: str, url: str, folder: Path, wanted: argparse.Namespace) -> dict[str, float]:
    """Serve one way and load it; give the medians of the rounds."""
    port = free_port()
    with subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", "bench.servers", way, str(port), url],
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_for(port)
            path = program_path(port, way)
            load(port, path, WARM_UP, wanted.clients)
            rounds = [
                one_round(psutil.Process(process.pid), folder, (port, path), wanted)
                for _ in range(wanted.rounds)
            ]
        finally:
            process.terminate()
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]} | {
        "grown_mib": rounds[-1]["rss_mib"] - rounds[0]["rss_mib"]
    }


def one_round(
    server: psutil.Process, folder: Path, target: tuple[int, str], wanted: argparse.Namespace
) -> dict[str, float]:
    """Load once, and give the figures."""
    theirs = postgres_processes(folder)
    before, before_theirs = cpu_s([server]), cpu_s(theirs)
    figures = load(*target, wanted.requests, wanted.clients)
    return figures | {
        "cpu_ms": (cpu_s([server]) - before) * 1_000 / wanted.requests,
        "postgres_ms": (cpu_s(theirs) - before_theirs) * 1_000 / wanted.requests,
        "rss_mib": server.memory_info().rss / 1024**2,
    }


def report(figures: dict[str, dict[str, float]]) -> None:
    """Print a table, each way against the bare route."""
    bare = figures.get("bare")
    for way, one in figures.items():
        share = f"{one['per_s'] / bare['per_s']:5.2f} x" if bare else ""
        added = f" added {one['cpu_ms'] - bare['cpu_ms']:5.2f} ms" if bare else ""
        print(
            f"{way:9} {one['per_s']:7.0f}/s {share} p50 {one['p50_ms']:6.1f} p99 "
            f"{one['p99_ms']:6.1f} ms  cpu {one['cpu_ms']:5.2f} ms{added}"
            f"  postgres {one['postgres_ms']:5.2f} ms  grown {one['grown_mib']:+.1f} MiB"
        )


def main() -> None:
    """Measure every way that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=4_000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", default="bare,recorder,orm")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dspatch-bench-") as name:
        folder = Path(name) / "data"
        postgres = LocalPostgres(folder)
        asyncio.run(postgres.start())
        try:
            url = postgres.url("postgres")
            asyncio.run(Database.migrate(DatabaseSettings(url=SecretStr(url))))
            figures: dict[str, Any] = {
                way: measure(way, url, folder, wanted) for way in wanted.ways.split(",")
            }
        finally:
            asyncio.run(postgres.stop())
    report(figures)


if __name__ == "__main__":
    main()
