"""What running programs elsewhere costs: `dspy` in this process, and `worker` with its children.

`python -m bench.adapters [--calls 1500] [--callers 32] [--rounds 5]`

The model answers at once, from a process of its own that is not counted. CPU is per call, this
process's and its children's. The frames alone are measured with a mock, which costs almost nothing.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from uuid import uuid4

import psutil
import uvloop

from app.adapters.base import Adapter, Program, ProgramCall, WarmsUp
from app.adapters.dspy import DspyAdapter
from app.adapters.mock import MockAdapter
from app.adapters.setup import AdapterFactory, AdapterSetup
from app.adapters.worker import WorkerAdapter
from app.settings import LMSettings
from app.signatures.notation import parse_notation

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
CALL = ProgramCall(PROGRAM, {"question": "What is the capital of France?"})


@dataclass(frozen=True)
class Way:
    """An adapter to measure."""

    factory: AdapterFactory
    options: Mapping[str, Any]


WAYS: Mapping[str, Way] = {
    "dspy": Way(DspyAdapter, {}),
    "worker, 1 child": Way(WorkerAdapter, {"processes": 1}),
    "worker, 2 children": Way(WorkerAdapter, {"processes": 2}),
    "mock": Way(MockAdapter, {}),
    "worker, 1 mock": Way(WorkerAdapter, {"processes": 1, "runs": "mock"}),
}


@dataclass(frozen=True)
class Figures:
    """One round: calls a second, and milliseconds of CPU per call."""

    per_s: float
    cpu_ms: float


class ModelServer:
    """A model server in a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.model_server"], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        self.lm = LMSettings(
            model="openai/small",
            api_base=f"http://127.0.0.1:{int(self._process.stdout.readline())}/v1",
        )

    def cpu_s(self) -> float:
        """Give the processor time of this process and its children, without the server's."""
        own = psutil.Process()
        counted = [own, *(child for child in own.children() if child.pid != self._process.pid)]
        times = [process.cpu_times() for process in counted]
        return sum(one.user + one.system for one in times)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate()


@asynccontextmanager
async def running(way: Way, lm: LMSettings) -> AsyncIterator[Adapter]:
    """Give an adapter that is ready."""
    adapter = way.factory(AdapterSetup("bench", way.options, lms={"main": lm}))
    try:
        if isinstance(adapter, WarmsUp):
            await adapter.warm_up()
        await call(adapter, WARM_UP, 32)
        yield adapter
    finally:
        await adapter.cleanup()


async def call(adapter: Adapter, calls: int, callers: int) -> None:
    """Call so often, so many at once."""
    left = iter(range(calls))

    async def caller() -> None:
        for _ in left:
            await adapter.execute_program(CALL)

    await asyncio.gather(*(caller() for _ in range(callers)))


async def measure(adapter: Adapter, server: ModelServer, calls: int, callers: int) -> Figures:
    """Measure one round."""
    before, began = server.cpu_s(), perf_counter()
    await call(adapter, calls, callers)
    seconds, spent_s = perf_counter() - began, server.cpu_s() - before
    return Figures(calls / seconds, spent_s / calls * 1_000)


async def measure_all(server: ModelServer, wanted: argparse.Namespace) -> dict[str, Figures]:
    """Measure each way in turn, in every round; give the medians."""
    rounds: dict[str, list[Figures]] = {name: [] for name in WAYS}
    async with AsyncExitStack() as stack:
        adapters = {
            name: await stack.enter_async_context(running(way, server.lm))
            for name, way in WAYS.items()
        }
        for number in range(wanted.rounds):
            for name, adapter in adapters.items():
                rounds[name].append(await measure(adapter, server, wanted.calls, wanted.callers))
            print(f"round {number + 1} of {wanted.rounds}", flush=True)
    return {name: median(of) for name, of in rounds.items()}


def median(rounds: Sequence[Figures]) -> Figures:
    """Give the median of each figure."""
    return Figures(
        statistics.median(one.per_s for one in rounds),
        statistics.median(one.cpu_ms for one in rounds),
    )


def report(figures: Mapping[str, Figures]) -> None:
    """Print a line each, and what the aims are about."""
    for name, one in figures.items():
        print(f"{name:18} {one.per_s:7.0f}/s  cpu {one.cpu_ms:6.3f} ms per call")
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
    server = ModelServer()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            report(runner.run(measure_all(server, wanted)))
    finally:
        server.close()


if __name__ == "__main__":
    main()
