"""`dspy` adapters for tests: on a model server, under a config and a module."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from dspy import lm15  # type: ignore[import-untyped]

from app.adapters.dspy import DspyAdapter
from app.adapters.errors import AdapterError
from app.adapters.setup import AdapterSetup
from app.policies.clock import Clock, SystemClock
from app.settings import LMSettings
from app.telemetry.metrics import Metrics
from tests.adapters.programs import a_call, a_program
from tests.support.model_server import ModelServer

KEY = "sk-very-secret"


def unheard(*_: object) -> None:
    """Do not hear what a server says of its limits."""


def an_lm(server: ModelServer, **settings: Any) -> LMSettings:
    """Give an LM that the server serves."""
    given = {"model": "openai/small", "api_base": server.base_url, "api_key": KEY}
    return LMSettings.model_validate(given | settings)


@asynccontextmanager
async def running(
    lms: Mapping[str, LMSettings], clock: Clock | None = None, metrics: Metrics | None = None
) -> AsyncIterator[DspyAdapter]:
    """Give an adapter with these LMs, cleaned up in the end."""
    setup = AdapterSetup(
        "dspy", lms=lms, clock=clock or SystemClock(), metrics=metrics or Metrics()
    )
    adapter = DspyAdapter(setup)
    try:
        yield adapter
    finally:
        await adapter.cleanup()


async def failure_of(adapter: DspyAdapter, **program: Any) -> AdapterError:
    """Run a program that fails, and give the error."""
    try:
        await adapter.execute_program(a_call(a_program(**program)))
    except AdapterError as error:
        return error
    raise AssertionError("the program did not fail")


def a_request(**body: Any) -> Any:
    """Give a request as DSPy makes it out of a chat body."""
    question = {"model": "openai/small", "messages": [{"role": "user", "content": "How?"}]}
    return lm15.request_from_openai_chat(question | body)
