"""Fixtures of the adapters' tests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TypeAlias

import httpx
import pytest
import pytest_asyncio

from app.adapters.building import BUILT_IN
from app.adapters.dspy import DspyAdapter
from app.adapters.dspy.endpoints import Endpoint
from app.adapters.dspy.engine import ChatCompletionsEngine
from app.adapters.dspy.servers import ModelServers
from conformance.harness import Harness
from tests.adapters.conformance.harness import HARNESSES, Remote
from tests.adapters.dspy_adapters import KEY, an_lm, running, unheard
from tests.support.another_dspatch import another_dspatch, free_port
from tests.support.clock import ManualClock
from tests.support.model_server import ModelServer

collect_ignore = ["example"]
"""A package of its own, whose tests run where it is installed."""

OpenHarness: TypeAlias = Callable[[], AbstractAsyncContextManager[Harness]]


@pytest.fixture(scope="session")
def remote(
    new_database: Callable[[str], Coroutine[None, None, str]], worker_id: str
) -> Iterator[Remote]:
    """Serve another Dspatch on a database of its own, for all tests of this worker."""
    lm_port = free_port()
    environment = {
        "DSPATCH_DATABASE__URL": asyncio.run(new_database(f"remote_{worker_id}")),
        "DSPATCH_AUTH__MODE": "none",
        "DSPATCH_DATABASE__POOL_TIMEOUT_MS": "60000",  # the machine may be busy
        "DSPATCH_ADAPTERS__DSPY__KIND": "dspy",
        "DSPATCH_ADAPTERS__DSPY__BREAKER__FAILURES": "1000",  # tests fail one after the other
        "DSPATCH_LMS__MAIN__MODEL": "openai/small",
        "DSPATCH_LMS__MAIN__API_BASE": f"http://127.0.0.1:{lm_port}/v1",
    }
    with another_dspatch(environment) as url:
        httpx.post(f"{url}/v1/adapters/dspy/check", timeout=60)  # which waits for DSPy's import
        yield Remote(url, lm_port)


@pytest.fixture(params=sorted(BUILT_IN))
def open_harness(request: pytest.FixtureRequest) -> OpenHarness:
    """Give what opens the harness of a registered kind; one of them needs another Dspatch."""
    of_kind = HARNESSES[request.param]
    return (
        partial(of_kind, request.getfixturevalue("remote"))
        if request.param == "remote"
        else of_kind
    )


@pytest_asyncio.fixture(loop_scope="session")
async def harness(open_harness: OpenHarness) -> AsyncIterator[Harness]:
    """Give an adapter of every registered kind, with a back-end that does as it is told."""
    async with open_harness() as of_kind:
        yield of_kind


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
    return ChatCompletionsEngine(
        Endpoint(server.base_url, "small", KEY), servers, ManualClock(), unheard
    )


@pytest.fixture
async def dspy_adapter(server: ModelServer) -> AsyncIterator[DspyAdapter]:
    """Give a `dspy` adapter with one LM, which the server serves."""
    async with running({"main": an_lm(server)}) as of_one:
        yield of_one
