"""Fixtures of the adapters' tests."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.adapters.base import Adapter
from app.adapters.building import BUILT_IN
from app.adapters.dspy import DspyAdapter
from app.adapters.dspy.endpoints import Endpoint
from app.adapters.dspy.engine import ChatCompletionsEngine
from app.adapters.dspy.servers import ModelServers
from tests.adapters.conformance.harness import HARNESSES, Harness
from tests.adapters.dspy_adapters import KEY, an_lm, running
from tests.support.clock import ManualClock
from tests.support.model_server import ModelServer


@pytest_asyncio.fixture(loop_scope="session", params=sorted(BUILT_IN))
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    """Give an adapter of every registered kind, with a back-end that does as it is told."""
    async with HARNESSES[request.param]() as of_kind:
        yield of_kind


@pytest.fixture
def adapter(harness: Harness) -> Adapter:
    """Give the adapter alone."""
    return harness.adapter


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    """Give a model server of the test's own."""
    async with ModelServer() as running:
        yield running


@pytest.fixture
async def servers() -> AsyncIterator[ModelServers]:
    """Give a way to servers, closed in the end."""
    open_ones = ModelServers(connect_timeout_s=0.2)
    yield open_ones
    await open_ones.close()


@pytest.fixture
def engine(server: ModelServer, servers: ModelServers) -> ChatCompletionsEngine:
    """Give an engine for the server."""
    return ChatCompletionsEngine(Endpoint(server.base_url, "small", KEY), servers, ManualClock())


@pytest.fixture
async def dspy_adapter(server: ModelServer) -> AsyncIterator[DspyAdapter]:
    """Give a `dspy` adapter with one LM, which the server serves."""
    async with running({"main": an_lm(server)}) as of_one:
        yield of_one
