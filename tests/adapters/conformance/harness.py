"""Our own adapters, each with a back-end that the suite may tell how to behave."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from typing_extensions import override

from app.adapters.base import Adapter
from app.adapters.combine import COMBINATIONS
from app.adapters.dspy import DspyAdapter
from app.adapters.errors import ErrorType
from app.adapters.mock import MockAdapter
from app.adapters.prepared import PreparingAdapter
from app.adapters.remote import RemoteAdapter
from app.adapters.setup import AdapterSetup
from app.adapters.worker import WorkerAdapter
from app.adapters.worker.adapter import child_pool
from app.adapters.worker.children import Surroundings
from app.adapters.worker.pool import ChildPool
from app.settings import LMSettings
from conformance.harness import Harness
from tests.support import model_server
from tests.support.model_server import ModelServer

MORE_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "weighted": {"weights": [3, 1]},
    "hedged": {"delay_ms": 5},
    "consensus": {"quorum": 2},
}
"""What a kind of combination needs, or is tried with, beside its members."""


class MockHarness(Harness):
    """A mock is told by the program."""

    @override
    def wrong(self) -> Mapping[str, Any]:
        return {"mock": {"latency": 3}}

    @override
    def saying(self, outputs: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"mock": {"outputs": dict(outputs)}}

    @override
    def failing(self, error_type: ErrorType) -> Mapping[str, Any]:
        retry_after = 7 if error_type is ErrorType.RATE_LIMITED else None
        return {"mock": {"error": {"type": error_type.value, "retry_after": retry_after}}}

    @override
    def hanging(self) -> Mapping[str, Any]:
        return {"mock": {"latency_ms": 3_600_000}}

    @override
    def is_hanging(self) -> bool:
        return self.adapter.in_flight > 0

    @override
    def unhealthy(self) -> None:
        setup = AdapterSetup("mock", {"health_error": "the script says so"})
        self.adapter.inner = MockAdapter(setup)


class CombinedHarness(MockHarness):
    """A combination of two mocks, each told by the program."""

    def __init__(self, factory: Any, **health: Any) -> None:
        mocks = {name: MockAdapter(AdapterSetup(name, health)) for name in ("first", "second")}
        self.factory = factory
        options = {"members": list(mocks), **MORE_OPTIONS.get(factory.kind, {})}
        Harness.__init__(self, factory(AdapterSetup("both", options, member=mocks.__getitem__)))

    @property
    @override
    def answers_as(self) -> Sequence[str]:
        return [self.adapter.name, *(member.name for member in self.adapter.members)]

    @property
    @override
    def most_calls(self) -> int:
        return len(self.adapter.members)

    @override
    def is_hanging(self) -> bool:
        mocks: Sequence[Any] = self.adapter.members
        return any(mock._counter.in_flight for mock in mocks)

    @override
    def unhealthy(self) -> None:
        self.adapter = CombinedHarness(self.factory, health_error="the script says so").adapter


class DspyHarness(Harness):
    """DSPy runs against a model server that is told."""

    def __init__(self, adapter: Adapter, server: ModelServer) -> None:
        super().__init__(adapter)
        self.server = server

    @override
    def wrong(self) -> Mapping[str, Any]:
        return {"temperature": "hot"}

    @override
    def saying(self, outputs: Mapping[str, Any]) -> Mapping[str, Any]:
        self.server.script(model_server.outputs(**outputs))
        return {}

    @override
    def failing(self, error_type: ErrorType) -> Mapping[str, Any]:
        self.server.script(FAILURES[error_type])
        return {}

    @override
    def hanging(self) -> Mapping[str, Any]:
        self.server.script(model_server.hang())
        return {}

    @override
    def is_hanging(self) -> bool:
        return bool(self.server.completions)

    @override
    def unhealthy(self) -> None:
        self.server.list_models(model_server.status(500))


class RemoteHarness(DspyHarness):
    """Another Dspatch runs DSPy against a model server that is told."""

    @override
    def unhealthy(self) -> None:
        nowhere = {"url": "http://127.0.0.1:9"}
        self.adapter.inner = RemoteAdapter(AdapterSetup("remote", nowhere))


FAILURES: Mapping[ErrorType, model_server.Answer] = {
    ErrorType.TIMEOUT: model_server.status(408),
    ErrorType.CONNECTION_FAILED: model_server.reset(),
    ErrorType.BACKEND_ERROR: model_server.html(500),
    ErrorType.RATE_LIMITED: model_server.status(429, headers={"Retry-After": "7"}),
    ErrorType.OVERLOADED: model_server.status(503),
    ErrorType.AUTHENTICATION: model_server.status(401),
    ErrorType.INVALID_REQUEST: model_server.status(400),
    ErrorType.CONTEXT_WINDOW_EXCEEDED: model_server.status(
        400, {"error": {"code": "context_length_exceeded", "message": "too long"}}
    ),
    ErrorType.OUTPUT_INVALID: model_server.completion("I would rather not."),
}


@dataclass(frozen=True)
class Remote:
    """Another Dspatch, whose LM is to be served on a port."""

    url: str
    lm_port: int


@asynccontextmanager
async def _remote(remote: Remote) -> AsyncIterator[Harness]:
    async with ModelServer(remote.lm_port) as server:
        adapter = RemoteAdapter(AdapterSetup("remote", {"url": remote.url}))
        yield RemoteHarness(adapter, server)
        await adapter.cleanup()


@asynccontextmanager
async def _mock() -> AsyncIterator[Harness]:
    yield MockHarness(MockAdapter(AdapterSetup("mock")))


@asynccontextmanager
async def _combined(factory: Any) -> AsyncIterator[Harness]:
    yield CombinedHarness(factory)


@asynccontextmanager
async def _dspy() -> AsyncIterator[Harness]:
    async with ModelServer() as server:
        lm = LMSettings(model="openai/small", api_base=server.base_url)
        adapter = DspyAdapter(AdapterSetup("dspy", lms={"main": lm}))
        yield DspyHarness(adapter, server)
        await adapter.cleanup()


class LastingWorker(WorkerAdapter):
    """Leaves its children running for the next adapter: one costs seconds to start."""

    @override
    async def cleanup(self) -> None:
        """Forget the programs."""
        await PreparingAdapter.cleanup(self)


class SharedWorker:
    """A child that runs DSPy against a model server, for the tests of a session.

    One that was told to wait by the server keeps to it, and is no good to the next test.
    """

    def __init__(self) -> None:
        self.is_paused = False
        self._stack = AsyncExitStack()
        self._shared: tuple[ModelServer, AdapterSetup, ChildPool] | None = None

    async def harness(self) -> Harness:
        """Give a new adapter on the child, and the server as if it had not been called yet."""
        if self.is_paused:
            await self.close()
            self.is_paused, self._shared = False, None
        server, setup, pool = self._shared = self._shared or await self._start()
        server.forget()
        return WorkerHarness(LastingWorker(setup, lambda *_: pool), server)

    async def _start(self) -> tuple[ModelServer, AdapterSetup, ChildPool]:
        server = await self._stack.enter_async_context(ModelServer())
        lm = LMSettings(model="openai/small", api_base=server.base_url)
        options = {"processes": 1, "environment": ["COVERAGE_PROCESS_CONFIG"]}
        setup = AdapterSetup("worker", options, lms={"main": lm})
        around = Surroundings(setup.clock, Random(), setup.metrics)  # noqa: S311 - ids
        pool = child_pool(setup, around)
        self._stack.push_async_callback(pool.close)
        await pool.ready()
        return server, setup, pool

    async def close(self) -> None:
        """End what was started."""
        await self._stack.aclose()


SHARED_WORKER = SharedWorker()


class WorkerHarness(DspyHarness):
    """The child that the tests share runs DSPy."""

    @override
    def failing(self, error_type: ErrorType) -> Mapping[str, Any]:
        SHARED_WORKER.is_paused |= error_type is ErrorType.RATE_LIMITED
        return super().failing(error_type)


@asynccontextmanager
async def _worker() -> AsyncIterator[Harness]:
    harness = await SHARED_WORKER.harness()
    yield harness
    await harness.adapter.cleanup()


HARNESSES: Mapping[str, Callable[..., AbstractAsyncContextManager[Harness]]] = {
    "mock": _mock,
    "dspy": _dspy,
    "worker": _worker,
    "remote": _remote,
    **{kind: partial(_combined, factory) for kind, factory in COMBINATIONS.items()},
}
"""One for each kind of the registry; that of `remote` takes one."""
