"""Answers that are damaged on their way: the parent lives, and no call gets another's answer."""

import asyncio
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import psutil
import pytest
from typing_extensions import override

from app.adapters.errors import AdapterError, ErrorType
from app.adapters.lm_limits import LMLimiters
from app.adapters.usage import Usage
from app.adapters.worker.children import Child, Surroundings
from app.adapters.worker.frames import HEAD, FrameReader, frame
from app.adapters.worker.limits import Limits, Patience
from app.adapters.worker.link import Link
from app.adapters.worker.messages import (
    Cancel,
    Execute,
    Failure,
    FromParent,
    Hello,
    Result,
    Start,
    read_from_parent,
    write,
)
from app.adapters.worker.pool import ChildPool
from app.adapters.worker.processes import ChildProcess
from app.policies.clock import SystemClock
from app.telemetry.metrics import Metrics
from tests.adapters.worker.pools import saying
from tests.support.wait import wait_until

CALLERS = 64

Damage = Callable[[bytes, bytes, Random], bytes]
"""Makes other bytes of a frame, and of the one that was sent before it."""


def _flip(sent: bytes, _: bytes, random: Random) -> bytes:
    at = random.randrange(len(sent))
    return sent[:at] + bytes([sent[at] ^ 1 << random.randrange(8)]) + sent[at + 1 :]


def _insert(sent: bytes, _: bytes, random: Random) -> bytes:
    at = random.randrange(len(sent))
    return sent[:at] + random.randbytes(random.randint(1, 9)) + sent[at:]


def _drop(sent: bytes, _: bytes, random: Random) -> bytes:
    at = random.randrange(len(sent))
    return sent[:at] + sent[at + random.randint(1, 9) :]


def _cut(sent: bytes, _: bytes, random: Random) -> bytes:
    return sent[: random.randrange(len(sent))]


def _double(sent: bytes, _: bytes, __: Random) -> bytes:
    return sent + sent


def _repeat_the_last(sent: bytes, last: bytes, _: Random) -> bytes:
    return last + sent


def _splice(sent: bytes, last: bytes, random: Random) -> bytes:
    at = random.randrange(len(sent))
    return sent[:at] + last[at:]


def _lie_about_the_length(sent: bytes, _: bytes, random: Random) -> bytes:
    length = random.choice([0, 1, len(sent), 2**31, 2**32 - 1, random.getrandbits(32)])
    return HEAD.pack(length, random.getrandbits(32)) + sent[HEAD.size :]


def _rewritten(change: Callable[[bytes, Random], bytes]) -> Damage:
    """Change the message and put a right head in front of it."""
    return lambda sent, _, random: frame(change(sent[HEAD.size :], random))


def _replace_a_value(payload: bytes, random: Random) -> bytes:
    values = [b"null", b"true", b"-1", b"1e400", b'"\\ud800"', b"[" * 300, b"{}", b"[]", b"\xff"]
    found = list(re.finditer(rb"(?<=:)(\d+|null|\"[a-z]+\"|\{)", payload))
    at = random.choice(found)
    return payload[: at.start()] + random.choice(values) + payload[at.end() :]


def _rename_a_member(payload: bytes, random: Random) -> bytes:
    name = random.choice(re.findall(rb'"(\w+)":', payload))
    return payload.replace(name, b"other")


DAMAGES: tuple[Damage, ...] = (
    _flip,
    _insert,
    _drop,
    _cut,
    _double,
    _repeat_the_last,
    _splice,
    _lie_about_the_length,
    _rewritten(lambda payload, random: _flip(payload, b"", random)),
    _rewritten(lambda payload, random: _drop(payload, b"", random)),
    _rewritten(lambda payload, random: _insert(payload, b"", random)),
    _rewritten(_replace_a_value),
    _rewritten(_rename_a_member),
)


class Wire:
    """Damages what goes over it, as often as it is told; `damaged` counts."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.damaged = 0
        self.share = 0.5
        self._last = frame(b"{}")

    def carry(self, sent: bytes) -> bytes:
        """Give what arrives."""
        arrives = sent
        if self.random.random() < self.share:
            arrives = self.random.choice(DAMAGES)(sent, self._last, self.random)
            self.damaged += 1
        self._last = sent
        return arrives


class DamagedProcess(ChildProcess):
    """A child in this process that answers well, on a wire that does not hold what it promises."""

    def __init__(self, wire: Wire) -> None:
        self.pid = 0
        self.exited = asyncio.get_running_loop().create_future()
        self._wire = wire
        self._transport: asyncio.WriteTransport | None = None

    @override
    async def start(self, link: Link, beaten: Callable[[bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        await loop.create_unix_connection(lambda: link, sock=ours)
        self._transport, _ = await loop.create_unix_connection(lambda: Reader(self), sock=theirs)

    def hear(self, message: FromParent) -> None:
        """Answer."""
        match message:
            case Start():
                self._write(frame(write(Hello())))
            case Execute(id):
                answer = {"answer": message.inputs["question"]}
                self._write(self._wire.carry(frame(write(Result(id, answer, None, Usage(), None)))))
            case Cancel(id):
                failure = Failure(id, ErrorType.CANCELLED, "stopped", {}, None, None, Usage())
                self._write(self._wire.carry(frame(write(failure))))
            case _:
                pass

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    @override
    async def exit_code(self, within_s: float) -> int | None:
        return None

    @override
    async def last_words(self) -> str:
        return ""

    @override
    async def end(self, grace_s: float) -> None:
        if self._transport is not None:
            self._transport.close()
        self.exited.cancel()


class Reader(asyncio.Protocol):
    """Reads what the parent says."""

    def __init__(self, process: DamagedProcess) -> None:
        self._process = process
        self._frames = FrameReader()

    @override
    def data_received(self, data: bytes) -> None:
        for payload in self._frames.feed(data):
            self._process.hear(read_from_parent(payload))


class Hasty(Random):
    """Makes no pause."""

    @override
    def uniform(self, a: float, b: float) -> float:
        return 0.0


def a_damaged_pool(wire: Wire) -> ChildPool:
    """Give a pool of two children on such a wire."""
    clock = SystemClock()
    patience = Patience(answer_s=0.05)
    around = Surroundings(clock, wire.random, Metrics(), LMLimiters({}, clock), patience)
    start = Start("mock", "workers", {"main": {}})

    def make() -> Child:
        return Child("a child", DamagedProcess(wire), start, around, Limits())

    return ChildPool(make, clock, Hasty(0), size=16, concurrency=CALLERS)


async def _call(pool: ChildPool, wire: Wire, asked: dict[str, Any]) -> None:
    """Ask once, and keep what came back under what was asked."""
    nonce = f"{wire.random.getrandbits(128):032x}"
    asked[nonce] = None
    with suppress(AdapterError, TimeoutError):
        async with asyncio.timeout(0.05):
            asked[nonce] = (await pool.execute(saying(nonce))).outputs.get("answer")


@pytest.mark.parametrize(
    "frames",
    [2_000, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(1_200)])],
)
async def test_no_damage_reaches_another_call(frames: int) -> None:
    """Whatever is changed in an answer; nothing of the parent breaks, leaks or waits for ever."""
    failures: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    before = psutil.Process().num_fds()
    wire = Wire(Random(7))  # noqa: S311 - damage
    pool = a_damaged_pool(wire)
    asked: dict[str, Any] = {}

    async def caller() -> None:
        while wire.damaged < frames:
            await _call(pool, wire, asked)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    crossed = {said for nonce, said in asked.items() if said != nonce and said in asked}
    wire.share = 0.0
    last: dict[str, Any] = {}
    while not all(last.values()) or not last:
        last.clear()
        await _call(pool, wire, last)
    await pool.close()
    assert not crossed
    assert [said for nonce, said in asked.items() if said == nonce]
    assert not failures
    await wait_until(lambda: psutil.Process().num_fds() <= before)
