"""The health of the `dspy` adapter, and its first import."""

import asyncio
from typing import Any

import pytest

from app.adapters.base import AdapterHealth
from app.adapters.dspy import DspyAdapter
from app.adapters.dspy.loading import import_programs
from app.adapters.errors import ErrorType
from app.adapters.setup import AdapterSetup
from tests.adapters.dspy_adapters import KEY, an_lm, failure_of, running
from tests.adapters.programs import a_call
from tests.support import model_server
from tests.support.model_server import ModelServer


async def test_asks_every_server_once(server: ModelServer) -> None:
    """A check lists the models of each LM's server, with its key, and asks no model."""
    async with running({"a": an_lm(server), "b": an_lm(server, api_key=None)}) as adapter:
        assert (await adapter.health_check()).healthy
    assert [call.path for call in server.calls] == ["/v1/models"] * 2
    keys = {call.headers.get("Authorization") for call in server.calls}
    assert keys == {f"Bearer {KEY}", None}


async def test_is_well_without_lms() -> None:
    """Where no LM is configured there is nothing that could be broken."""
    async with running({}) as adapter:
        assert (await adapter.health_check()).healthy


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (model_server.status(500), "the server of the LM main answers 500"),
        (model_server.status(401), "the server of the LM main answers 401"),
        (model_server.reset(), "the server of the LM main does not answer (ServerDisconnected"),
        (model_server.huge(17), "the server of the LM main does not answer (AnswerTooLarge"),
    ],
    ids=["broken", "refused", "reset", "huge"],
)
async def test_says_which_server_is_broken(
    server: ModelServer, answer: model_server.Answer, error: str
) -> None:
    """An unhealthy server is named by its LM, without its address."""
    server.list_models(answer)
    async with running({"main": an_lm(server)}) as adapter:
        health = await adapter.health_check()
    assert not health.healthy
    assert str(health.error).startswith(error)
    assert server.base_url not in str(health.error)


@pytest.mark.parametrize("code", [404, 405, 429])
async def test_takes_any_sign_of_life(server: ModelServer, code: int) -> None:
    """A server that has no list of models, or no time for it, is there all the same."""
    server.list_models(model_server.status(code))
    async with running({"main": an_lm(server)}) as adapter:
        assert (await adapter.health_check()).healthy


class Import:
    """Imports DSPy when it is let, or fails to; counts."""

    def __init__(self, error: Exception | None = None) -> None:
        self.gate = asyncio.Event()
        self.count = 0
        self._error = error

    async def __call__(self) -> Any:
        """Import."""
        self.count += 1
        await self.gate.wait()
        if self._error is not None:
            raise self._error
        return await import_programs()


async def test_imports_once_for_all_who_wait(server: ModelServer) -> None:
    """Calls, health and warm-up wait for one import; one that is cancelled does not stop it."""
    load = Import()
    adapter = DspyAdapter(AdapterSetup("dspy", lms={"main": an_lm(server)}), load)
    cancelled = asyncio.create_task(adapter.warm_up())
    call = asyncio.create_task(adapter.execute_program(a_call()))
    health = asyncio.create_task(adapter.health_check())
    await asyncio.wait([cancelled], timeout=0)
    cancelled.cancel()
    load.gate.set()
    assert (await call).outputs
    assert (await health).healthy
    assert load.count == 1
    await adapter.cleanup()


async def test_is_not_imported_where_there_is_no_lm() -> None:
    """No program could be called: neither warm-up nor health costs the seconds of the import."""
    load = Import()
    adapter = DspyAdapter(AdapterSetup("dspy"), load)
    await adapter.warm_up()
    assert await adapter.health_check() == AdapterHealth(healthy=True, latency_ms=0.0)
    assert load.count == 0
    await adapter.cleanup()


async def test_says_that_dspy_cannot_be_imported(
    caplog: pytest.LogCaptureFixture, server: ModelServer
) -> None:
    """A broken installation shows in the log, in health and in every call."""
    load = Import(ImportError("no module named numpy"))
    load.gate.set()
    adapter = DspyAdapter(AdapterSetup("dspy", lms={"main": an_lm(server)}), load)
    await adapter.warm_up()
    health = await adapter.health_check()
    failure = await failure_of(adapter)
    await adapter.cleanup()
    assert "numpy" in caplog.text
    assert health.error == "DSPy could not be imported (ImportError)"
    assert (failure.type, failure.message) == (ErrorType.UNEXPECTED, health.error)


async def test_is_given_back_while_it_imports(server: ModelServer) -> None:
    """A cleanup does not wait for the import."""
    adapter = DspyAdapter(AdapterSetup("dspy", lms={"main": an_lm(server)}), Import())
    waiting = asyncio.create_task(adapter.warm_up())
    await asyncio.wait([waiting], timeout=0)
    await adapter.cleanup()
    with pytest.raises(asyncio.CancelledError):
        await waiting
