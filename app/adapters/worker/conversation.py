"""What one child was asked and has not answered yet."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from app.adapters.base import ProgramCall
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.usage import Usage
from app.adapters.worker.documents import read_failure
from app.adapters.worker.frames import ProtocolError
from app.adapters.worker.link import Link
from app.adapters.worker.messages import (
    Answer,
    Cancel,
    Failure,
    FromParent,
    Pong,
    Prepared,
    Question,
    Result,
    Spent,
)

FAREWELL_S = 0.25
"""How long a cancelled caller waits to hear what its call has cost."""

Wanted = TypeVar("Wanted", Prepared, Result, Pong)
"""What answers a question, where it does not fail."""


@dataclass(eq=False)
class Asked:
    """A question on its way; `heard` is done once it is answered, or never will be."""

    id: int
    wanted: type[Answer]
    call: ProgramCall | None
    heard: asyncio.Future[Any]
    overdue: asyncio.TimerHandle | None = None

    @property
    def spent(self) -> Usage:
        """What the call has cost so far, as far as the child has told it."""
        return Usage() if self.call is None else self.call.told.usage


class Conversation:
    """Sees that every answer finds who asked; an answer to nothing is a ProtocolError.

    `hangs` is told, in the past tense, what the child did not do within `patience_s` seconds;
    `relieved`, that it has answered for all calls that were stopped.
    """

    def __init__(
        self,
        link: Link,
        hangs: Callable[[str], None],
        relieved: Callable[[], None],
        patience_s: float,
    ) -> None:
        self._link = link
        self._hangs = hangs
        self._relieved = relieved
        self._patience_s = patience_s
        self._open: dict[int, Asked] = {}
        self._unanswered = 0
        self._crash: Callable[[Usage], AdapterError] | None = None

    @property
    def is_in_doubt(self) -> bool:
        """Whether the child has yet to answer for a call that was stopped: it may hang."""
        return self._unanswered > 0

    async def ask(
        self, question: Question, wanted: type[Wanted], call: ProgramCall | None = None
    ) -> Wanted:
        """Ask and give the answer; raises the AdapterError that it is, or that the child crashed.

        A caller that is cancelled waits a little for what its call has cost.
        """
        if self._crash is not None:
            raise self._crash(Usage())
        asked = Asked(question.id, wanted, call, asyncio.get_running_loop().create_future())
        self._open[question.id] = asked
        try:
            await self.tell(question)
        except BaseException:
            self._open.pop(question.id, None)
            raise
        try:
            heard: Wanted | AdapterError = await asked.heard
        except asyncio.CancelledError:
            await self._call_off(asked)
            raise
        if isinstance(heard, AdapterError):
            raise heard
        return heard

    async def tell(self, message: FromParent) -> None:
        """Send what may have to wait until the child reads; one that never does, hangs."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._link.send(message)
        except TimeoutError:
            self._hangs("did not read what it was told")
        except ValueError as error:
            raise AdapterError(
                ErrorType.INVALID_REQUEST, f"the program or its inputs cannot be sent: {error}"
            ) from None

    def hear(self, answer: Answer) -> None:
        """Give an answer to who asked."""
        asked = self._open.get(answer.id)
        if asked is None:
            raise ProtocolError("an answer to nothing that was asked")
        if not isinstance(answer, (asked.wanted, Failure)):
            raise ProtocolError(f"an answer of another kind: {answer.kind}")
        del self._open[answer.id]
        if asked.overdue is not None:
            self._unanswered -= 1
            if not self._unanswered:
                self._relieved()
        if asked.call is not None and isinstance(answer, Result | Failure):
            _tell(asked.call, answer)
        _settle(asked, read_failure(answer) if isinstance(answer, Failure) else answer)

    def count(self, spent: Spent) -> None:
        """Keep what a call has spent, where it still runs."""
        asked = self._open.get(spent.id)
        if asked is not None and asked.call is not None:
            prompt, completion = spent.prompt_tokens, spent.completion_tokens
            asked.call.told.usage += Usage(prompt, completion, prompt + completion, 1)

    def close(self, crash: Callable[[Usage], AdapterError]) -> None:
        """Answer everything with a crash, which tells what was spent."""
        self._crash = crash
        for asked in self._open.values():
            _settle(asked, crash(asked.spent))
        self._open.clear()

    async def _call_off(self, asked: Asked) -> None:
        """Have the child stop, and see that it answers."""
        if asked.id not in self._open:
            return
        loop = asyncio.get_running_loop()
        asked.heard = loop.create_future()
        self._unanswered += 1
        self._link.post(Cancel(asked.id))
        asked.overdue = loop.call_later(self._patience_s, self._hangs, "did not end a stopped call")
        await asyncio.wait({asked.heard}, timeout=FAREWELL_S)


def _tell(call: ProgramCall, answer: Result | Failure) -> None:
    call.told.usage = answer.usage
    call.told.waited_s += answer.waited_s
    if call.trace is not None:
        call.trace.extend(answer.trace)


def _settle(asked: Asked, heard: Answer | AdapterError) -> None:
    if asked.overdue is not None:
        asked.overdue.cancel()
    if not asked.heard.done():  # else who asked was cancelled this very moment
        asked.heard.set_result(heard)
