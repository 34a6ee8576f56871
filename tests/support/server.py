"""Real `dspatch serve` and `dspatch worker` processes, and what they printed."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support.wait import wait_until_so

WITH_KEYS = {"DSPATCH_AUTH__MODE": "keys"}
"""A local server asks for keys where it is told to."""

_SERVING = re.compile(r"Dspatch (?:serves|works)(?:.* on (http://\S+)|\b)")


class ServerProcess:
    """A running server or worker; `output` grows while it runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = ""
        self.base_url = ""
        self._reading: asyncio.Task[None] | None = None

    @property
    def tracebacks(self) -> list[str]:
        """What it has logged of failures that nobody expected; its log is JSON."""
        lines = [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]
        return [line["exception"] for line in lines if "exception" in line]

    async def until_serving(self) -> None:
        """Read until it says that it is there; RuntimeError with its output where it ends first."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.output += line.decode()
            if found := _SERVING.search(self.output):
                self.base_url = found[1] or ""
                self._reading = asyncio.create_task(self._read_on())
                return
        raise RuntimeError(self.output)

    async def _read_on(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.output += line.decode()

    async def stop_reading(self) -> None:
        """Close the reading end of its standard error, as a log collector that died does."""
        assert self._reading is not None
        self._reading.cancel()
        self._reading = None
        transport: Any = self.process._transport  # type: ignore[attr-defined]
        transport.get_pipe_transport(2).close()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and give the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        code = await self.process.wait()
        if self._reading is not None:
            await self._reading
        return code


async def start_dspatch(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    """Start the command as a user would."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(environment or {}), "COLUMNS": "200"},
    )


async def run_dspatch(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Run the command to its end and give its exit code, output and errors."""
    process = await start_dspatch(*arguments, environment=environment)
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def a_local_key(data_dir: str) -> str:
    """Make a key for everything on the local database in this directory."""
    wanted = ("keys", "create", "tests", "--scope", "admin", "--json")
    code, out, err = await run_dspatch(*wanted, "--local", "--data-dir", data_dir)
    assert code == 0, err
    return str(json.loads(out)["key"])


@asynccontextmanager
async def serving(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[ServerProcess]:
    """Serve on a free port until the block ends; no proxy has to hear of its end first."""
    environment = {"DSPATCH_SERVER__DRAIN_DELAY_MS": "0", **(environment or {})}
    server = ServerProcess(
        await start_dspatch("serve", "--port", "0", *arguments, environment=environment)
    )
    try:
        await server.until_serving()
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def working(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[ServerProcess]:
    """Work in the background until the block ends."""
    worker = ServerProcess(await start_dspatch("worker", *arguments, environment=environment))
    try:
        await worker.until_serving()
        yield worker
    finally:
        await worker.stop()


async def slow_program(client: httpx.AsyncClient, latency_ms: int) -> str:
    """Register a program on the mock that takes so long, and give the path of its executions."""
    signature = await client.post("/v1/signatures", json={"name": "a", "notation": "a -> b"})
    body = {
        "name": "slow",
        "signature_id": signature.json()["signature_id"],
        "module": "predict",
        "adapter": "mock",
        "config": {"mock": {"latency_ms": latency_ms}},
    }
    program = await client.post("/v1/programs", json=body)
    return f"/v1/programs/{program.json()['program_id']}/executions"


async def until_running(client: httpx.AsyncClient, count: int = 1) -> str:
    """Wait until so many executions run and give the id of the last; AssertionError if never."""

    async def running() -> list[dict[str, Any]]:
        found = await client.get("/v1/executions", params={"status": "running"})
        return list(found.json()["items"])

    async def enough_run() -> bool:
        return len(await running()) >= count

    try:
        await wait_until_so(enough_run)
    except TimeoutError:
        found = await client.get("/v1/executions")
        raise AssertionError(f"less than {count} run of {found.text}") from None
    return str((await running())[0]["execution_id"])
