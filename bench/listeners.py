"""Thousands of listeners on one server: memory, processor time, and how late they hear of a change.

`python -m bench.listeners [--listeners 5000]`
"""

import argparse
import asyncio
import resource
from time import monotonic
from typing import Any

import httpx
import psutil
from typing_extensions import override

from bench.house import PROGRAM, a_database, cpu_s, free_port, started, wait_for

CONNECT_AT_ONCE = 100
QUIET_S = 10.0
LONGEST_S = 60.0


class Heard:
    """When each of many listeners has heard a word."""

    def __init__(self, by: int) -> None:
        self.times: list[float] = []
        self._by = by
        self._all = asyncio.Event()

    def note(self) -> None:
        """Say that one has heard it now."""
        self.times.append(monotonic())
        if len(self.times) == self._by:
            self._all.set()

    async def by_all(self) -> None:
        """Return when all have heard it; TimeoutError."""
        async with asyncio.timeout(LONGEST_S):
            await self._all.wait()


class Listener(asyncio.Protocol):
    """One connection that notes when it hears a word for the first time."""

    def __init__(self, path: str, words: dict[bytes, Heard]) -> None:
        self._path = path
        self._left = dict(words)

    @override
    def connection_made(self, transport: Any) -> None:
        transport.write(f"GET {self._path} HTTP/1.1\r\nHost: dspatch\r\n\r\n".encode())

    @override
    def data_received(self, data: bytes) -> None:
        for word in [word for word in self._left if word in data]:
            self._left.pop(word).note()


async def measure(port: int, server: psutil.Process, listeners: int) -> dict[str, float]:
    """Give the figures by what they are of."""
    words = {word: Heard(listeners) for word in (b'"pending"', b'"paused"', b'"running"')}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        path = f"/v1/batches/{await a_batch(client)}"
        before = server.memory_info().rss
        began = cpu_s([server])
        for start in range(0, listeners, CONNECT_AT_ONCE):
            some = range(start, min(start + CONNECT_AT_ONCE, listeners))
            await asyncio.gather(*(connect(port, f"{path}/events", words) for _ in some))
        await words[b'"pending"'].by_all()
        figures = {
            "listeners": listeners,
            "CPU to connect, s": cpu_s([server]) - began,
            "memory of one, KiB": (server.memory_info().rss - before) / listeners / 1_024,
        }
        began = cpu_s([server])
        await asyncio.sleep(QUIET_S)
        figures["CPU while nothing changes, %"] = (cpu_s([server]) - began) / QUIET_S * 100
        for act, word in (("pause", b'"paused"'), ("resume", b'"running"')):
            began, committed = cpu_s([server]), monotonic()
            (await client.post(f"{path}/{act}")).raise_for_status()
            await words[word].by_all()
            late = sorted(time - committed for time in words[word].times)
            figures[f"{act}: the first hears after, s"] = late[0]
            figures[f"{act}: the last hears after, s"] = late[-1]
            figures[f"{act}: CPU, s"] = cpu_s([server]) - began
    return figures


async def connect(port: int, path: str, words: dict[bytes, Heard]) -> None:
    """Begin to listen."""
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: Listener(path, words), "127.0.0.1", port)


async def a_batch(client: httpx.AsyncClient) -> str:
    """Have a batch wait for somebody to work on it; give its id."""
    signature = {"name": "answer", "notation": "question: string -> answer: string"}
    made = (await client.post("/v1/signatures", json=signature)).json()
    program = {**PROGRAM, "signature_id": made["signature_id"]}
    made = (await client.post("/v1/programs", json=program)).json()
    path = f"/v1/programs/{made['program_id']}/batches"
    body = {"batch_inputs": [{"question": "why"}] * 10}
    return str((await client.post(path, json=body)).json()["batch_id"])


def main() -> None:
    """Measure on a PostgreSQL and a server of our own, which does not work on batches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listeners", type=int, default=5_000)
    listeners = parser.parse_args().listeners
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    port = free_port()
    with a_database() as (url, _):
        environment = {
            "DSPATCH_DATABASE__URL": url,
            "DSPATCH_AUTH__MODE": "none",
            "DSPATCH_WORKER__EMBEDDED": "false",
            "DSPATCH_SERVER__DRAIN_DELAY_MS": "0",
        }
        serve = ("app", "serve", "--port", str(port))
        with started(*serve, environment=environment) as server:
            wait_for(port)
            figures = asyncio.run(measure(port, server, listeners))
    for name, figure in figures.items():
        print(f"{name:34} {figure:10.2f}")


if __name__ == "__main__":
    main()
