"""The child's side, in this process, spoken to by hand."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import pytest

from app.adapters.base import Program
from app.adapters.setup import AdapterFactory
from app.adapters.worker.documents import program_document
from app.adapters.worker.frames import HEAD, ProtocolError, frame
from app.adapters.worker.messages import FromParent, Hold, Limit, Start, write
from app.adapters.worker.serving import RUNS, ProgramServer
from app.policies.limits import Limits
from tests.adapters.programs import a_program
from tests.support.adapters import ScriptedAdapter, answer
from tests.support.wait import wait_until


class Parent:
    """Speaks to a server in this process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, message: FromParent | dict[str, Any]) -> None:
        """Send a message, or what looks like one."""
        payload = json.dumps(message).encode() if isinstance(message, dict) else write(message)
        self._writer.write(frame(payload))

    async def hear(self) -> dict[str, Any]:
        """Give the next message."""
        length, _ = HEAD.unpack(await self._reader.readexactly(HEAD.size))
        message: dict[str, Any] = json.loads(await self._reader.readexactly(length))
        return message

    def close(self) -> None:
        """Close this end."""
        self._writer.close()

    def hold(self, program: Program) -> dict[str, Any]:
        """Have a program held; give the members that name it."""
        self.say(Hold(program_document(program)))
        return {"program_id": str(program.program_id), "revision": program.revision}


@asynccontextmanager
async def a_server(
    runs: Mapping[str, AdapterFactory] = RUNS,
) -> AsyncIterator[tuple[Parent, "asyncio.Task[None]", ProgramServer]]:
    """Give a parent, and the server that listens to it."""
    ours, theirs = socket.socketpair()
    server = ProgramServer(runs)
    serving = asyncio.create_task(server.serve(theirs))
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    try:
        yield Parent(reader, writer), serving, server
    finally:
        writer.close()
        with suppress(ProtocolError):
            await serving


@pytest.fixture
async def parent() -> AsyncIterator[Parent]:
    """A parent whose child is ready, with a mock."""
    async with a_server() as (parent, _, _):
        parent.say(Start("mock", "workers", {}))
        assert await parent.hear() == {"kind": "hello"}
        yield parent


def an_execution(program: dict[str, Any], number: int = 1, **members: Any) -> dict[str, Any]:
    """Give an `Execute` as it travels."""
    return {
        "kind": "execute",
        "id": number,
        **program,
        "inputs": {"question": "How?"},
        "config": {},
        "attempt": 1,
        "repair": None,
        "is_traced": True,
        **members,
    }


def scripted(**script: Any) -> Program:
    """Give a program with a script for the mock."""
    return a_program(config={"mock": script})


async def test_a_program_that_is_held_runs(parent: Parent) -> None:
    """It is prepared where it was not, and answers under the id of the question."""
    said = {"answer": "Fine.", "mood": "good", "score": 0.5}
    parent.say(an_execution(parent.hold(scripted(outputs=said)), 17))
    answer = await parent.hear()
    assert (answer["kind"], answer["id"], answer["outputs"]) == ("result", 17, said)
    assert answer["usage"]["lm_calls"] == 1


async def test_programs_are_prepared_when_asked_for(parent: Parent) -> None:
    """Or refused, in the words of the adapter."""
    parent.say({"kind": "prepare", "id": 1, **parent.hold(scripted())})
    assert await parent.hear() == {"kind": "prepared", "id": 1}
    parent.say({"kind": "prepare", "id": 2, **parent.hold(scripted(colour="red"))})
    failure = await parent.hear()
    assert (failure["id"], failure["type"]) == (2, "invalid_request")
    assert "config.mock.colour" in failure["message"]


async def test_failures_keep_their_words(parent: Parent) -> None:
    """Type, message, and how long to wait."""
    error = {"type": "rate_limited", "message": "slowly", "retry_after": 7}
    parent.say(an_execution(parent.hold(scripted(error=error))))
    failure = await parent.hear()
    told = {name: failure[name] for name in ("type", "message", "retry_after")}
    assert told == error
    assert failure["usage"]["lm_calls"] == 1


async def test_a_stopped_call_says_what_it_has_cost(parent: Parent) -> None:
    """Whether it had begun or not; and a stop that comes too late changes nothing."""
    program = parent.hold(scripted(latency_ms=600_000))
    parent.say(an_execution(program, 1))
    parent.say({"kind": "cancel", "id": 1})
    failure = await parent.hear()
    assert (failure["id"], failure["type"], failure["usage"]["lm_calls"]) == (1, "cancelled", 1)
    parent.say({"kind": "cancel", "id": 1})
    parent.say({"kind": "ping", "id": 2})
    assert (await parent.hear())["id"] == 2


async def test_health_is_the_adapters(parent: Parent) -> None:
    """As the adapter in the child tells it."""
    parent.say({"kind": "ping", "id": 3})
    assert await parent.hear() == {
        "kind": "pong",
        "id": 3,
        "healthy": True,
        "latency_ms": 0.0,
        "error": None,
    }


async def test_calls_run_side_by_side(parent: Parent) -> None:
    """A quick one is answered before a slow one that came first."""
    parent.say(an_execution(parent.hold(scripted(latency_ms=600_000)), 1))
    parent.say(an_execution(parent.hold(scripted()), 2))
    assert (await parent.hear())["id"] == 2


async def test_an_answer_that_is_too_long_is_a_failure(parent: Parent) -> None:
    """It does not reach the parent, and costs what it cost."""
    said = {"answer": "x" * 18_000_000, "mood": "good", "score": 0.5}
    parent.say(an_execution(parent.hold(scripted(outputs=said))))  # which is the raw output, too
    failure = await parent.hear()
    assert (failure["type"], failure["usage"]["lm_calls"]) == ("backend_error", 1)
    assert failure["message"].startswith("The answer is too long")


async def test_what_an_adapter_must_not_do_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    """Give what is no JSON, or raise what is no AdapterError: the latter is logged."""
    odd = ScriptedAdapter(answer(colour=object()), KeyError("colour"))
    async with a_server({"odd": lambda _: odd}) as (parent, _, _):
        parent.say(Start("odd", "workers", {}))
        await parent.hear()
        program = parent.hold(a_program())
        failures = []
        for number in range(2):
            parent.say(an_execution(program, number))
            failures.append(await parent.hear())
    assert [one["type"] for one in failures] == ["unexpected", "unexpected"]
    told = [one["message"] for one in failures]
    assert told == ["The answer is no JSON.", "The adapter failed: KeyError."]
    assert "the adapter raised what is no AdapterError" in caplog.text


async def test_what_is_forgotten_is_gone() -> None:
    """The adapter drops a program with its last revision."""
    async with a_server() as (parent, _, server):
        parent.say(Start("mock", "workers", {}))
        await parent.hear()
        first = scripted()
        second = a_program(config={"mock": {}}, program_id=first.program_id, revision=2)
        for program in (first, second):
            parent.say(an_execution(parent.hold(program)))
            await parent.hear()
        adapter: Any = server._adapter
        for program, left in ((first, 1), (second, 0)):
            parent.say(
                {
                    "kind": "forget",
                    "program_id": str(program.program_id),
                    "revision": program.revision,
                }
            )
            await wait_until(partial(holds, server, left))
        await wait_until(lambda: not adapter._programs.infos())


def holds(server: ProgramServer, count: int) -> bool:
    """Tell whether a server holds so many programs."""
    return len(server._programs) == count


async def test_it_ends_with_its_parent() -> None:
    """Calls that run are stopped; before the first word there is nothing to stop."""
    async with a_server() as (parent, serving, _):
        parent.close()
        await serving
    async with a_server() as (parent, serving, _):
        parent.say(Start("mock", "workers", {}))
        await parent.hear()
        parent.say(an_execution(parent.hold(scripted(latency_ms=600_000))))
        parent.close()
        await serving


@pytest.mark.parametrize(
    "words",
    [
        [{"kind": "ping", "id": 1}],
        [{"kind": "start", "runs": "mock", "name": "a", "lms": {}}] * 2,
        [{"kind": "hello"}],
    ],
)
async def test_words_out_of_turn_end_it(words: list[dict[str, Any]]) -> None:
    """A parent that speaks another protocol is none."""
    async with a_server() as (parent, serving, _):
        for word in words:
            parent.say(word)
        with pytest.raises(ProtocolError):
            await serving


async def test_a_second_start_ends_it() -> None:
    """Also once the first has been answered."""
    async with a_server() as (parent, serving, _):
        parent.say(Start("mock", "workers", {}))
        assert await parent.hear() == {"kind": "hello"}
        parent.say(Start("mock", "workers", {}))
        with pytest.raises(ProtocolError, match="a second start"):
            await serving


async def test_a_new_part_of_the_limits_holds_at_once() -> None:
    """Whatever the child was started with."""
    async with a_server() as (parent, _, server):
        parent.say(Start("mock", "workers", {"main": {"model": "openai/small"}}))
        await parent.hear()
        assert server._limiters["main"].limits.max_concurrency == 64
        part = Limits(8, 100, None, 0.2, 10)
        parent.say(Limit({"main": part}))
        await wait_until(lambda: server._limiters["main"].limits == part)
