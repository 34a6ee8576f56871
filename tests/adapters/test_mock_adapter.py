"""The mock: scripts, samples and waiting."""

import subprocess
import sys
from typing import Any

import pytest

from app.adapters.base import AdapterHealth
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.mock import MockAdapter
from app.adapters.setup import AdapterSetup
from app.settings import SettingsError
from tests.adapters.programs import a_call, a_program
from tests.support.clock import ManualClock


def a_mock(**options: Any) -> MockAdapter:
    """Give a mock with these options."""
    return MockAdapter(AdapterSetup("rehearsal", options, clock=ManualClock()))


async def test_waits_as_scripted() -> None:
    """The latency passes on the adapter's clock, in milliseconds."""
    clock = ManualClock()
    mock = MockAdapter(AdapterSetup("rehearsal", clock=clock))
    await mock.execute_program(a_call(a_program(config={"mock": {"latency_ms": 250}})))
    assert clock.slept == [0.25]


async def test_takes_an_empty_script() -> None:
    """`{}` is a script: it samples the outputs."""
    result = await a_mock().execute_program(a_call(a_program(config={"mock": {}})))
    assert result.outputs


async def test_gives_outputs_as_they_stand() -> None:
    """Scripted outputs are given back even where they do not fit the signature."""
    outputs = {"nonsense": [1, None]}
    program = a_program(config={"mock": {"outputs": outputs}})
    assert (await a_mock().execute_program(a_call(program))).outputs == outputs


async def test_samples_the_same_for_the_same_inputs() -> None:
    """Inputs decide the outputs, whatever the order of their members; other inputs, others."""
    program = a_program("a: string, b: string -> answer: string, score: probability")
    mock = a_mock()
    first = await mock.execute_program(a_call(program, a="1", b="2"))
    again = await mock.execute_program(a_call(program, b="2", a="1"))
    other = await mock.execute_program(a_call(program, a="2", b="1"))
    assert first.outputs == again.outputs != other.outputs


async def test_samples_the_same_in_every_process() -> None:
    """Two processes agree on the outputs, so that clients may rely on them."""
    result = await a_mock().execute_program(a_call())
    script = (
        "import asyncio; from tests.adapters.test_mock_adapter import a_mock, a_call;"
        "print(asyncio.run(a_mock().execute_program(a_call())).outputs)"
    )
    command = [sys.executable, "-c", script]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: ASYNC221, S603 - nothing else runs meanwhile, and the command is ours
    assert printed.strip() == str(result.outputs)


async def test_says_where_there_are_no_samples() -> None:
    """Types that no sample was found for ask for a script."""
    program = a_program('text: string -> code: constrained[string, pattern="^a$", min_length=5]')
    with pytest.raises(AdapterError, match=r"config\.mock") as caught:
        await a_mock().execute_program(a_call(program, text="x"))
    assert caught.value.type is ErrorType.UNSUPPORTED


@pytest.mark.parametrize(("times", "failures"), [(0, 0), (2, 2), (None, 4)])
async def test_fails_the_first_attempts(times: int | None, failures: int) -> None:
    """An error is raised the first `times` attempts of each execution, without `times` always."""
    error = {"type": "overloaded", "message": "busy", "retry_after": 1.5, "times": times}
    program = a_program(config={"mock": {"error": error}})
    mock = a_mock()
    raised = []
    for attempt in (1, 2, 3, 4):
        try:
            await mock.execute_program(a_call(program, attempt=attempt))
        except AdapterError as failure:
            raised.append((failure.type, failure.message, failure.retry_after))
    assert raised == [(ErrorType.OVERLOADED, "busy", 1.5)] * failures


async def test_lets_the_programs_script_win() -> None:
    """What a program scripts takes the place of the adapter's, member by member."""
    mock = a_mock(latency_ms=100, error={"type": "timeout"}, outputs={"from": "the adapter"})
    own = {"outputs": {"from": "the program"}, "error": None}
    result = await mock.execute_program(a_call(a_program(config={"mock": own})))
    assert result.outputs == {"from": "the program"}
    with pytest.raises(AdapterError):
        await mock.execute_program(a_call(a_program(config={"mock": {"outputs": {}}})))


async def test_ignores_what_others_take() -> None:
    """A config holds the settings of all members; a mock reads its own."""
    program = a_program(config={"lm": "unknown", "temperature": "hot", "remote_program": 3})
    await a_mock().create_program(program)


@pytest.mark.parametrize(
    ("script", "place"),
    [
        (None, "config.mock"),
        ([], "config.mock"),
        ({"latency": 1}, "config.mock.latency"),
        ({"latency_ms": "1"}, "config.mock.latency_ms"),
        ({"latency_ms": -1}, "config.mock.latency_ms"),
        ({"latency_ms": float("inf")}, "config.mock.latency_ms"),
        ({"outputs": []}, "config.mock.outputs"),
        ({"error": {}}, "config.mock.error.type"),
        ({"error": {"type": "tired"}}, "config.mock.error.type"),
        ({"error": {"type": "timeout", "times": 1.5}}, "config.mock.error.times"),
        ({"error": {"type": "timeout", "times": True}}, "config.mock.error.times"),
        ({"error": {"type": "timeout", "retry_after": -1}}, "config.mock.error.retry_after"),
        ({"error": {"type": "timeout", "colour": 1}}, "config.mock.error.colour"),
        ({"health_error": "x"}, "config.mock.health_error"),
    ],
)
async def test_refuses_a_wrong_script(script: Any, place: str) -> None:
    """A script that cannot be meant is refused when the program is made, by its place."""
    with pytest.raises(AdapterError) as caught:
        await a_mock().create_program(a_program(config={"mock": script}))
    assert caught.value.type is ErrorType.INVALID_REQUEST
    assert caught.value.message.startswith(f"{place}: ")


async def test_is_as_healthy_as_told() -> None:
    """Health waits and fails as the options say."""
    mock = a_mock(health_latency_ms=20, health_error="down for lunch")
    assert await mock.health_check() == AdapterHealth(
        healthy=False, latency_ms=20, error="down for lunch"
    )


def test_refuses_wrong_options() -> None:
    """An option that the mock does not know refuses the start, and names its place."""
    with pytest.raises(SettingsError, match=r"adapters\.rehearsal\.latency: "):
        a_mock(latency=3)
