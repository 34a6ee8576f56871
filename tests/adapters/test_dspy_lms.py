"""The LMs of the settings: names, keys, slots, time limits, and engines of DSPy's own."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.adapters.dspy import DspyAdapter
from app.adapters.dspy.endpoints import read_lms
from app.adapters.errors import ErrorType
from app.adapters.setup import AdapterSetup
from app.settings import LMSettings, SettingsError
from tests.adapters.dspy_adapters import an_lm, failure_of, running
from tests.adapters.programs import a_call, a_program
from tests.support import model_server
from tests.support.model_server import ModelServer
from tests.support.wait import wait_until


async def test_runs_on_the_lm_that_is_named(server: ModelServer) -> None:
    """Programs name one of several LMs."""
    lms = {"small": an_lm(server), "large": an_lm(server, model="openai/org/large")}
    async with running(lms) as adapter:
        await adapter.execute_program(a_call(a_program(config={"lm": "large"})))
    assert server.completions[0].body["model"] == "org/large"


async def test_needs_a_name_where_there_are_several(server: ModelServer) -> None:
    """With more than one LM, or none, a program has to say which."""
    async with running({"b": an_lm(server), "a": an_lm(server)}) as adapter:
        failure = await failure_of(adapter)
    assert failure.type is ErrorType.INVALID_REQUEST
    assert failure.message == "config.lm is missing; the configured LMs are: a, b"
    async with running({}) as adapter:
        assert "the configured LMs are: none" in (await failure_of(adapter)).message


async def test_holds_to_its_slots(server: ModelServer) -> None:
    """No more calls are in flight than the LM allows, and all of them end well."""
    gate = asyncio.Event()
    server.always(model_server.after(gate, model_server.well_formed()))
    async with running({"main": an_lm(server, max_concurrency=3)}) as adapter:
        program = a_program()
        calls = asyncio.gather(*(adapter.execute_program(a_call(program)) for _ in range(10)))
        await wait_until(lambda: server.in_flight == 3)
        gate.set()
        assert len(await calls) == 10
    assert server.most_in_flight == 3


async def test_a_cancelled_call_frees_its_slot(server: ModelServer) -> None:
    """The slot and the connection of a cancelled call are free at once."""
    server.script(model_server.hang())
    async with running({"main": an_lm(server, max_concurrency=1)}) as adapter:
        cancelled = asyncio.create_task(adapter.execute_program(a_call()))
        await wait_until(lambda: server.in_flight == 1)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        await adapter.execute_program(a_call())
        async with asyncio.timeout(10):
            await server.completions[0].gone.wait()


@pytest.mark.parametrize("answer", [model_server.hang(), model_server.drip()], ids=["hang", "drip"])
async def test_ends_in_time(server: ModelServer, answer: model_server.Answer) -> None:
    """The time limit holds for the whole of a call, whether bytes arrive or not."""
    server.script(answer)
    async with running({"main": an_lm(server, timeout_ms=150)}) as adapter:
        failure = await failure_of(adapter)
    assert failure.type is ErrorType.TIMEOUT
    assert failure.usage.lm_calls == 1


async def test_waiting_for_a_slot_takes_no_time_of_the_call(server: ModelServer) -> None:
    """The limit counts from when a call has its slot."""
    gate = asyncio.Event()
    server.script(model_server.after(gate, model_server.well_formed()))
    async with running({"main": an_lm(server, max_concurrency=1, timeout_ms=60_000)}) as adapter:
        first = asyncio.create_task(adapter.execute_program(a_call()))
        await wait_until(lambda: server.in_flight == 1)
        second = asyncio.create_task(adapter.execute_program(a_call()))
        gate.set()
        assert (await first).usage.lm_calls == (await second).usage.lm_calls == 1


def read(environment: dict[str, str] | None = None, **settings: Any) -> Any:
    """Read an LM named `main`."""
    lm = LMSettings.model_validate({"model": "openai/small"} | settings)
    (served,) = read_lms({"main": lm}, environment or {})
    return served


def test_finds_keys_where_they_are(tmp_path: Path) -> None:
    """A key stands in the settings, in the environment or in a file."""
    (tmp_path / "key").write_text("from a file\n")
    assert read(api_key="itself").key == "itself"
    assert read({"KEY": "from outside"}, api_key_env="KEY").key == "from outside"
    assert read(api_key_file=tmp_path / "key").key == "from a file"
    assert read().key is None


def test_shows_no_key() -> None:
    """A key is in no text that an LM gives of itself."""
    served = read(api_key="sk-secret")
    assert "sk-secret" not in repr(served)
    assert "sk-secret" in served.secrets


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"api_key_env": "KEY"}, r"lms\.main: the variable KEY is not set"),
        ({"api_base": "llm.example/v1"}, r"lms\.main\.api_base: "),
        ({"api_base": "http://[bad/v1"}, r"lms\.main\.api_base: "),
        ({"api_base": "ftp://llm.example/v1"}, r"lms\.main\.api_base: "),
        ({"params": {"colour": 1}}, r"lms\.main\.params\.colour: "),
        ({"params": {"temperature": "hot"}}, r"lms\.main\.params\.temperature: "),
    ],
)
def test_refuses_the_start(settings: dict[str, Any], sentence: str) -> None:
    """An LM that cannot be used is refused when the adapter is built, by its name."""
    with pytest.raises(SettingsError, match=sentence):
        DspyAdapter(
            AdapterSetup(
                "dspy",
                lms={"main": LMSettings.model_validate({"model": "openai/small"} | settings)},
                environment={},
            )
        )


@pytest.mark.parametrize(
    ("settings", "base_url", "model"),
    [
        ({"model": "openai/gpt"}, "https://api.openai.com/v1", "gpt"),
        ({"model": "openai/a/b", "api_base": "http://h/v1/"}, "http://h/v1", "a/b"),
        ({"model": "hosted_vllm/q", "api_base": "http://h/v1"}, "http://h/v1", "q"),
        ({"model": "plain", "api_base": "http://h/v1"}, "http://h/v1", "plain"),
    ],
)
def test_asks_openai_compatible_servers_itself(
    settings: dict[str, Any], base_url: str, model: str
) -> None:
    """OpenAI and everything with an address is asked by our own engine."""
    endpoint = read(**settings).endpoint
    assert (endpoint.base_url, endpoint.model) == (base_url, model)


async def test_leaves_other_providers_to_dspy() -> None:
    """Other providers are asked by DSPy's engines, with the key and the limit of the settings."""
    lm = LMSettings.model_validate(
        {"model": "anthropic/claude", "api_key": "sk-a", "timeout_ms": 5_000}
    )
    program = a_program(config={"max_tokens": 9})
    async with running({"main": lm}) as adapter:
        await adapter.create_program(program)
        bound = (await adapter._programs.get(program)).lm
        assert (await adapter.health_check()).healthy
    assert bound.engine == "auto"
    assert (bound.kwargs["api_key"], bound.kwargs["timeout"]) == ("sk-a", 5)
    assert bound.kwargs["max_tokens"] == 9
    assert not bound.cache
    assert bound.num_retries == 0


async def test_hides_the_keys_of_other_providers() -> None:
    """A key is a secret whoever asks with it; without one there is none."""
    assert read(model="anthropic/claude", api_key="sk-a").secrets == ["sk-a"]
    assert read(model="anthropic/claude").secrets == []


async def test_refuses_parameters_that_a_model_does_not_take() -> None:
    """DSPy's own rules for a model are told when the program is made."""
    lm = LMSettings(model="openai/gpt-5")
    async with running({"main": lm}) as adapter:
        failure = await failure_of(adapter, config={"temperature": 0.3})
    assert failure.type is ErrorType.INVALID_REQUEST
    assert "temperature" in failure.message
