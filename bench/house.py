"""What the benches stand on: a PostgreSQL of their own, processes, load, processor time."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
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


@contextmanager
def a_database() -> Iterator[tuple[str, Path]]:
    """Give the address of a migrated database, and the folder of its PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="dspatch-bench-") as name:
        folder = Path(name) / "data"
        postgres = LocalPostgres(folder)
        asyncio.run(postgres.start())
        try:
            url = postgres.url("postgres")
            asyncio.run(Database.migrate(DatabaseSettings(url=SecretStr(url))))
            yield url, folder
        finally:
            asyncio.run(postgres.stop())


@contextmanager
def started(*arguments: str, environment: Mapping[str, str]) -> Iterator[psutil.Process]:
    """Run one of us until the block ends."""
    with subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", *arguments],
        env={**os.environ, **environment},
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


@contextmanager
def answering() -> Iterator[str]:
    """Answer every request at once, as a model does, in a process of its own; give its address."""
    command = [sys.executable, "-m", "bench.model_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stdout is not None  # noqa: S101 - it was asked for
        port = int(process.stdout.readline())
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def cpu_s(processes: list[psutil.Process]) -> float:
    """Add up the processor time of processes, and of their children that have ended."""
    times = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # its parent is among them, and counts it
            times.append(process.cpu_times())
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


def load(port: int, path: str, requests: int, clients: int, **more: Any) -> dict[str, float]:
    """Post from a process of its own; `more` may say which headers, and which status is right."""
    told = {"port": port, "path": path, "body": BODY, "requests": requests, "clients": clients}
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(told | more).encode(),
        capture_output=True,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures
