"""The lines before LMs stand in the parent; its children wait in them as it does itself."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count

from app.adapters.lm_limits import Line, Lines
from app.adapters.worker.documents import finite
from app.adapters.worker.frames import ProtocolError
from app.adapters.worker.messages import Come, Heard, Leave, OfLines, Pause, Queue
from app.policies.limiter import LimitReachedError, Priority, Turn
from app.policies.rate import Word

MOST_TURNS = 10_000
"""Turns that one child may wait for or have at once."""


class ChildTurns:
    """What one child holds of the lines of its parent; all of it is left when the child ends."""

    def __init__(self, lines: Lines, tell: Callable[[Come], None]) -> None:
        self._lines = lines
        self._tell = tell
        self._held: dict[int, _Held] = {}

    def take(self, message: OfLines) -> None:
        """Do what the child asks for; ProtocolError where that is out of turn."""
        match message:
            case Queue():
                self._queue(message)
            case Leave(number, spent):
                if number not in self._held:
                    raise ProtocolError("a turn is left that nobody has")
                self._held.pop(number).leave(spent)
            case Pause(lm, seconds):
                self._lines[lm].pause(seconds)
            case Heard(lm, requests, tokens):
                self._lines[lm].hear(requests, tokens)

    def close(self) -> None:
        """Leave all turns."""
        for held in self._held.values():
            held.leave(None)
        self._held.clear()

    def _queue(self, message: Queue) -> None:
        if message.turn in self._held or len(self._held) >= MOST_TURNS:
            raise ProtocolError("a turn too many")
        self._held[message.turn] = _Held(self._lines[message.lm], message, self._tell)


class _Held:
    """One turn of a child: waited for, had, left."""

    def __init__(self, line: Line, message: Queue, tell: Callable[[Come], None]) -> None:
        self._left: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._has_come = False
        self._work = asyncio.create_task(self._hold(line, message, tell))

    async def _hold(self, line: Line, message: Queue, tell: Callable[[Come], None]) -> None:
        has_s = math.inf if message.has_s is None else message.has_s
        try:
            async with line.turn(message.priority, tokens=message.tokens, has_s=has_s) as turn:
                self._has_come = True
                tell(Come(message.turn))
                turn.spent = await self._left
        except LimitReachedError as reached:
            tell(Come(message.turn, reached.limit, reached.retry_after_s))

    def leave(self, spent: int | None) -> None:
        """Let the next one go, or wait no more."""
        if self._has_come:
            self._left.set_result(spent)
        else:
            self._work.cancel()


class ParentLines:
    """The lines as a child sees them: each turn is asked of the parent."""

    def __init__(self, tell: Callable[[OfLines], None]) -> None:
        self._tell = tell
        self._numbers: Iterator[int] = count(1)
        self._waiting: dict[int, asyncio.Future[Come]] = {}

    def __getitem__(self, name: str) -> "ParentLine":
        return ParentLine(name, self)

    def come(self, message: Come) -> None:
        """Hear of a turn; one that has been left meanwhile is none."""
        if (waiting := self._waiting.get(message.turn)) is not None and not waiting.done():
            waiting.set_result(message)

    def tell(self, message: OfLines) -> None:
        """Tell the parent."""
        self._tell(message)

    @asynccontextmanager
    async def turn(
        self, lm: str, priority: Priority, tokens: int, has_s: float
    ) -> AsyncIterator[Turn]:
        """Wait for a turn; it lasts as long as the block."""
        number, turn = next(self._numbers), Turn(priority, tokens, math.inf)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._tell(Queue(number, lm, priority, tokens, finite(has_s)))
        try:
            come = await waiting
            if come.limit is not None:
                raise LimitReachedError(come.limit, come.retry_after)
            yield turn
        finally:
            del self._waiting[number]
            self._tell(Leave(number, turn.spent))


class ParentLine:
    """The line before one LM, as a child sees it."""

    def __init__(self, name: str, lines: ParentLines) -> None:
        self._name = name
        self._lines = lines

    def turn(
        self, priority: Priority, *, tokens: int, has_s: float
    ) -> AbstractAsyncContextManager[Turn]:
        """Wait for a turn, which the parent gives; LimitReachedError where none comes."""
        return self._lines.turn(self._name, priority, tokens, has_s)

    def pause(self, seconds: float) -> None:
        """Have all wait, in all processes that ask the parent."""
        self._lines.tell(Pause(self._name, seconds))

    def hear(self, requests: Word | None, tokens: Word | None) -> None:
        """Pass on what the server says of how much it still takes, if it says so."""
        if requests is not None or tokens is not None:
            self._lines.tell(Heard(self._name, requests, tokens))
