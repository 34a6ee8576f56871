"""A child that crashes, lies, hangs: what its calls are told, and that the next one serves on."""

import asyncio

import psutil
import pytest

from app.adapters.errors import AdapterError, ErrorType
from app.adapters.worker.limits import Patience
from tests.adapters.worker.pools import PROGRAM, SECRET, a_pool, ask, crash_of, scripted, the_child
from tests.support.wait import wait_until

SHORT = Patience(answer_s=0.5, silence_s=3.0, exit_s=0.5, term_s=0.2)

ENDINGS = {
    "exit": "ended with exit code 0",
    "_exit": "ended with exit code 7",
    "kill": "was ended by signal 9",
    "die": "was ended by signal 11",
    "half a frame": "ended with exit code 0",
    "close": "closed its frames",
}
BREACHES = {
    "garbage": "broke the protocol: a frame of 1886546286 bytes",
    "huge length": "broke the protocol: a frame of 4294967295 bytes",
    "bad utf-8": "broke the protocol: no message: json_invalid",
    "not json": "broke the protocol: no message: json_invalid",
    "too deep": "broke the protocol: no message: ",
    "unknown kind": "broke the protocol: no message: union_tag_invalid",
    "unknown member": "broke the protocol: no message: unexpected_keyword_argument",
    "unknown id": "broke the protocol: an answer to nothing that was asked",
    "another answer": "broke the protocol: an answer of another kind: prepared",
    "second hello": "broke the protocol: an untimely hello",
    "unknown lm": "broke the protocol: an untimely spent",
    "negative usage": "broke the protocol: no message: value_error",
}


@pytest.mark.parametrize(("word", "reason"), [*ENDINGS.items(), *BREACHES.items()])
async def test_a_child_that_breaks_fails_its_calls_and_is_replaced(word: str, reason: str) -> None:
    """All calls in flight are told why, may be tried again, and the next child answers."""
    async with a_pool(scripted(), patience=SHORT) as pool:
        assert (await ask(pool, "well")).outputs == {"answer": "well"}
        first = await the_child(pool)
        error = await crash_of(pool, word)
        assert (error.type, error.recoverable) == (ErrorType.WORKER_CRASHED, True)
        assert error.message.startswith(f"The child process {reason}")
        assert (await ask(pool, "again")).outputs == {"answer": "again"}
        assert (await the_child(pool)).pid != first.pid


async def test_an_answer_that_comes_twice_is_given_once() -> None:
    """The call has its answer; the second is an answer to nothing, which costs the child."""
    async with a_pool(scripted()) as pool:
        first = await the_child(pool)
        assert (await ask(pool, "doubled answer")).outputs == {"answer": "x"}
        assert "an answer to nothing" in (await first.gone()).message
        assert (await ask(pool, "again")).outputs == {"answer": "again"}


@pytest.mark.parametrize("word", ["hang", "ignore sigterm", "freeze"])
async def test_a_stopped_call_that_does_not_end_costs_the_child(word: str) -> None:
    """Its neighbours are told; SIGTERM, then SIGKILL, whatever the program does about them."""
    async with a_pool(scripted(), patience=SHORT) as pool:
        await ask(pool, "well")
        first = await the_child(pool)
        stopped = asyncio.ensure_future(ask(pool, word))
        neighbour = asyncio.ensure_future(crash_of(pool, "well"))
        await wait_until(lambda: first.in_flight == 2)
        stopped.cancel()
        await asyncio.wait([stopped])
        assert stopped.cancelled()
        error = await neighbour
        assert error.message == "The child process did not end a stopped call."
        assert (await ask(pool, "again")).outputs == {"answer": "again"}
        assert not psutil.pid_exists(first.pid)


async def test_a_child_that_does_not_read_is_replaced() -> None:
    """Who writes to a full pipe is told within the time limit."""
    async with a_pool(scripted(), patience=SHORT) as pool:
        await ask(pool, "well")
        hanging = asyncio.ensure_future(crash_of(pool, "hang"))
        big = [asyncio.ensure_future(crash_of(pool, "x" * 1_000_000)) for _ in range(3)]
        told = {(await call).message for call in [hanging, *big]}
        assert told == {"The child process did not read what it was told."}
        assert (await ask(pool, "again")).outputs == {"answer": "again"}


async def test_a_child_without_a_sign_of_life_is_replaced() -> None:
    """Though nobody waits for it."""
    async with a_pool(scripted(), patience=Patience(silence_s=1.0)) as pool:
        frozen = asyncio.ensure_future(crash_of(pool, "freeze"))
        assert "gave no sign of life" in (await frozen).message


async def test_the_end_of_standard_error_is_told_without_secrets(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In the context of the error, fit for a record; what goes to standard output is logged."""
    async with a_pool(scripted()) as pool:
        error = await crash_of(pool, "complain")
    assert error.context == {"exit_code": 3, "stderr": "token …, said  and [31m"}
    assert SECRET not in error.message
    with caplog.at_level("INFO"):
        async with a_pool(scripted()) as pool:
            await crash_of(pool, "complain")
    assert "a child of workers says: this goes to the log" in caplog.messages


async def test_what_a_child_has_left_behind_goes_with_it() -> None:
    """A process that it started holds its pipes open, which keeps nobody waiting."""
    async with a_pool(scripted()) as pool:
        first = await the_child(pool)
        assert (await ask(pool, "leave a grandchild")).outputs == {"answer": "left"}
        left = psutil.Process(first.pid).children()
        assert (await first.gone()).message == "The child process ended with exit code 0."
        await wait_until(lambda: not any(one.is_running() for one in left))
        assert (await ask(pool, "again")).outputs == {"answer": "again"}


STARTS = {
    "exit": "ended with exit code 0",
    "die": "was ended by signal 11",
    "close": "closed its frames",
    "complain": "ended with exit code 3",
}


@pytest.mark.parametrize(("start", "reason"), STARTS.items())
async def test_a_child_that_never_gets_ready_fails_who_waits(start: str, reason: str) -> None:
    """With what it did, and with what it wrote."""
    async with a_pool(scripted(start), patience=SHORT) as pool:
        error = await crash_of(pool, "well")
        assert error.type is ErrorType.WORKER_CRASHED
        assert error.message == f"The child process {reason}."
        assert error.context.get("stderr", "…").startswith(("token …", "…"))


async def test_a_child_that_takes_too_long_to_get_ready_is_ended() -> None:
    """As one that never will be."""
    async with a_pool(scripted("hang"), patience=Patience(start_s=0.5)) as pool:
        error = await crash_of(pool, "well")
    assert error.message == "The child process was not ready within 0.5 s."


async def test_an_ill_adapter_in_a_child_is_told() -> None:
    """As the child says it."""
    async with a_pool(scripted("ill")) as pool:
        assert [pong.error for pong in await pool.ping()] == ["the model is away"]


async def test_a_command_that_cannot_be_started_is_told() -> None:
    """As any other crash."""
    async with a_pool(["/no/such/python"]) as pool:
        error = await crash_of(pool, "well")
    assert error.message == "The child process could not be started: No such file or directory."


@pytest.mark.parametrize("word", ["exit", "kill"])
async def test_a_crash_while_a_program_is_prepared_is_told(word: str) -> None:
    """Who prepares is told as who executes."""
    async with a_pool(scripted(f"prepare: {word}")) as pool:
        with pytest.raises(AdapterError, match="The child process") as crash:
            await pool.prepare(PROGRAM)
    assert crash.value.type is ErrorType.WORKER_CRASHED
