"""What running programs elsewhere costs: `dspy` here, `worker` with its children, another Dspatch.

`python -m bench.adapters [--calls 1500] [--callers 32] [--rounds 5]`

The model answers at once, from a process of its own that is not counted. CPU is per call, of this
process and of those that were started for the adapter; PostgreSQL's, which records what another
Dspatch executes, apart. The frames alone are measured with a mock, which costs almost nothing.
"""

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import uuid4

import httpx
import psutil
import uvloop

from app.adapters.base import Adapter, Program, ProgramCall, WarmsUp
from app.adapters.dspy import DspyAdapter
from app.adapters.mock import MockAdapter
from app.adapters.remote import RemoteAdapter
from app.adapters.setup import AdapterFactory, AdapterSetup
from app.adapters.worker import WorkerAdapter
from app.settings import LMSettings
from app.signatures.notation import parse_notation
from bench.house import answering, cpu_s, free_port, postgres_processes, started, wait_for

WARM_UP = 200
MOCK = {"outputs": {"answer": "Paris"}}
PROGRAM = Program(
    program_id=uuid4(),
    revision=1,
    name="answerer",
    module="predict",
    signature=parse_notation("question: string -> answer: string"),
    config={"mock": MOCK},
)
CALL = ProgramCall(PROGRAM, {"question": "What is the capital of France?"}, timeout_s=60)


@dataclass(frozen=True)
class Running:
    """An adapter that is ready, the processes that work for it, and where its database is."""

    adapter: Adapter
    processes: Sequence[psutil.Process]
    database: Path | None = None


@dataclass(frozen=True)
class Figures:
    """One round: calls a second, and milliseconds of CPU per call, PostgreSQL's apart."""

    per_s: float
    cpu_ms: float
    postgres_ms: float


def children() -> set[psutil.Process]:
    """Give the processes that this one has started."""
    return set(psutil.Process().children())


@contextmanager
def a_model() -> Iterator[LMSettings]:
    """Serve a model from a process of its own."""
    with answering() as address:
        yield LMSettings(model="openai/small", api_base=f"{address}/v1")


@asynccontextmanager
async def an_adapter(
    factory: AdapterFactory, options: Mapping[str, Any], lm: LMSettings
) -> AsyncIterator[Running]:
    """Give an adapter that is ready, and what it has started."""
    before = children()
    adapter = factory(AdapterSetup("bench", options, lms={"main": lm}))
    try:
        if isinstance(adapter, WarmsUp):
            await adapter.warm_up()
        await call(adapter, WARM_UP, 32)
        yield Running(adapter, [psutil.Process(), *(children() - before)])
    finally:
        await adapter.cleanup()


async def until_warm(url: str) -> None:
    """Return when a server has everything imported."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        while (await client.get("/startupz")).status_code != httpx.codes.OK:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@asynccontextmanager
async def another_dspatch(lm: LMSettings) -> AsyncIterator[Running]:
    """Give an adapter that has another Dspatch run the program, by its `dspy`."""
    port = free_port()
    environment = {
        "DSPATCH_LMS__MAIN__MODEL": lm.model,
        "DSPATCH_LMS__MAIN__API_BASE": str(lm.api_base),
        "DSPATCH_DATABASE__POOL_TIMEOUT_MS": "60000",  # it is measured, not refused
    }
    with tempfile.TemporaryDirectory(prefix="dspatch-bench-") as folder:
        serve = ("app", "serve", "--local", "--data-dir", folder, "--port", str(port))
        with started(*serve, environment=environment) as server:
            options = {"url": f"http://127.0.0.1:{port}"}
            wait_for(port)
            await until_warm(options["url"])
            async with an_adapter(RemoteAdapter, options, lm) as running:
                processes = [psutil.Process(), server]
                yield Running(running.adapter, processes, Path(folder))


WAYS: Mapping[str, Callable[[LMSettings], AbstractAsyncContextManager[Running]]] = {
    "dspy": partial(an_adapter, DspyAdapter, {}),
    "worker, 1 child": partial(an_adapter, WorkerAdapter, {"processes": 1}),
    "worker, 2 children": partial(an_adapter, WorkerAdapter, {"processes": 2}),
    "remote": another_dspatch,
    "mock": partial(an_adapter, MockAdapter, {}),
    "worker, 1 mock": partial(an_adapter, WorkerAdapter, {"processes": 1, "runs": "mock"}),
}


async def call(adapter: Adapter, calls: int, callers: int) -> None:
    """Call so often, so many at once."""
    left = iter(range(calls))

    async def caller() -> None:
        for _ in left:
            await adapter.execute_program(CALL)

    await asyncio.gather(*(caller() for _ in range(callers)))


async def measure(running: Running, calls: int, callers: int) -> Figures:
    """Measure one round."""
    ours = list(running.processes)
    theirs = [] if running.database is None else postgres_processes(running.database)
    before, before_theirs, began = cpu_s(ours), cpu_s(theirs), perf_counter()
    await call(running.adapter, calls, callers)
    seconds = perf_counter() - began
    return Figures(
        calls / seconds,
        (cpu_s(ours) - before) / calls * 1_000,
        (cpu_s(theirs) - before_theirs) / calls * 1_000,
    )


async def measure_all(lm: LMSettings, wanted: argparse.Namespace) -> dict[str, Figures]:
    """Measure each way in turn, in every round; give the medians."""
    rounds: dict[str, list[Figures]] = {name: [] for name in WAYS}
    async with AsyncExitStack() as stack:
        ready = {name: await stack.enter_async_context(way(lm)) for name, way in WAYS.items()}
        for number in range(wanted.rounds):
            for name, running in ready.items():
                rounds[name].append(await measure(running, wanted.calls, wanted.callers))
            print(f"round {number + 1} of {wanted.rounds}", flush=True)
    return {name: median(of) for name, of in rounds.items()}


def median(rounds: Sequence[Figures]) -> Figures:
    """Give the median of each figure."""
    return Figures(
        statistics.median(one.per_s for one in rounds),
        statistics.median(one.cpu_ms for one in rounds),
        statistics.median(one.postgres_ms for one in rounds),
    )


def report(figures: Mapping[str, Figures]) -> None:
    """Print a line each, and what the aims are about."""
    for name, one in figures.items():
        apart = f", PostgreSQL {one.postgres_ms:.3f} ms" if one.postgres_ms else ""
        print(f"{name:18} {one.per_s:7.0f}/s  cpu {one.cpu_ms:6.3f} ms per call{apart}")
    cpu = {name: one.cpu_ms for name, one in figures.items()}
    two = cpu["worker, 2 children"] / cpu["worker, 1 child"]
    print(f"CPU of a call with two children, against one: {two:.3f} (aim: 0.9 to 1.1)")
    frames = cpu["worker, 1 mock"] - cpu["mock"]
    print(f"CPU that the frames add to a call: {frames:.3f} ms (aim: 0.3)")
    added = cpu["worker, 1 child"] - cpu["dspy"]
    print(f"CPU that a child adds to a call through DSPy: {added:.3f} ms")


def main() -> None:
    """Measure every way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_500)
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    with a_model() as lm, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report(runner.run(measure_all(lm, wanted)))


if __name__ == "__main__":
    main()
