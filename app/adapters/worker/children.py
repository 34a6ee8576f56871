"""A child as its parent sees it: started, asked, and ended when it breaks or is not needed."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from app.adapters.base import Program, ProgramCall
from app.adapters.errors import AdapterError
from app.adapters.lm_limits import LMParts, lms_of
from app.adapters.prepared import REVISIONS_HELD
from app.adapters.usage import Usage
from app.adapters.worker.conversation import Conversation
from app.adapters.worker.crashes import GONE, STOPPED, crash_of, in_words
from app.adapters.worker.documents import execute_message, program_document
from app.adapters.worker.frames import ProtocolError
from app.adapters.worker.limits import Limits, Patience
from app.adapters.worker.link import Link
from app.adapters.worker.messages import (
    Failure,
    Forget,
    Hello,
    Hold,
    Limit,
    Ping,
    Pong,
    Prepare,
    Prepared,
    Result,
    Spent,
    Start,
    read_from_child,
)
from app.adapters.worker.processes import ChildProcess
from app.policies.clock import Clock
from app.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Surroundings:
    """What children take from outside: time, chance, counters."""

    clock: Clock
    random: Random
    metrics: Metrics
    patience: Patience = field(default_factory=Patience)


class Child:
    """One child; `answered` counts its answers, `relieved` is told when it is in doubt no more."""

    def __init__(
        self, name: str, process: ChildProcess, start: Start, around: Surroundings, limits: Limits
    ) -> None:
        loop = asyncio.get_running_loop()
        self.name = name
        self.in_flight = 0
        self.answered = 0
        self.relieved: Callable[[], None] = lambda: None
        self._first = start
        self._around = around
        self._limits = limits
        self._link = Link(self._take, self._lose)
        self._process = process
        self._conversation = Conversation(
            self._link, self._end, self._tell_relief, around.patience.answer_s
        )
        self._held: dict[UUID, dict[int, set[str]]] = {}
        self._parts: LMParts = {}
        self._hello: asyncio.Future[None] = loop.create_future()
        self._used_up: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[str] = loop.create_future()
        self._life: asyncio.Task[AdapterError] | None = None
        self._is_retiring = False
        self._silent_s = 0.0
        self._age_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it takes calls."""
        return self._hello.done() and not self._ended.done() and not self._is_retiring

    @property
    def is_in_doubt(self) -> bool:
        """Whether it may hang: it gets no new calls until it has answered for one that stopped."""
        return self._conversation.is_in_doubt

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    async def start(self) -> None:
        """Start it, and return when it takes calls; `worker_crashed` where it never does."""
        try:
            await self._process.start(self._link, self._hear_beat)
        except OSError as error:
            self._end(STOPPED)
            crash = crash_of(f"could not be started: {error.strerror}")(Usage())
            logger.warning("%s: %s", self.name, crash.message)
            raise crash from error
        self._life = asyncio.create_task(self._live())
        self._link.post(self._first)
        limit_s = self._around.patience.start_s
        try:
            ends: set[asyncio.Future[Any]] = {self._hello, self._ended}
            await asyncio.wait(ends, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._end(STOPPED)
            raise
        if not self._hello.done():
            self._end(f"was not ready within {limit_s:g} s")
        if not self.is_open:
            raise await asyncio.shield(self._life)

    async def used_up(self) -> None:
        """Return when it should be replaced: it has ended, or has reached a limit."""
        assert self._life is not None  # noqa: S101 - it has been started
        ends: set[asyncio.Future[Any]] = {self._life, self._used_up}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)

    @property
    def is_gone(self) -> bool:
        """Whether nothing is left of it."""
        return self._ended.done() and (self._life is None or self._life.done())

    async def gone(self) -> AdapterError:
        """Return when nothing is left of it, with what its calls were told."""
        if self._life is None:
            return crash_of(STOPPED)(Usage())
        return await asyncio.shield(self._life)

    async def execute(self, call: ProgramCall) -> Result:
        """Run a program; raises what the child's adapter raises, or `worker_crashed`."""
        await self._hold(call.program)
        return await self._conversation.ask(execute_message(self._new_id(), call), Result, call)

    async def prepare(self, program: Program) -> None:
        """Make a program ready to run; raises what the child's adapter raises."""
        await self._hold(program)
        question = Prepare(self._new_id(), program.program_id, program.revision)
        await self._conversation.ask(question, Prepared)

    async def ping(self) -> Pong:
        """Ask how its adapter is."""
        return await self._conversation.ask(Ping(self._new_id()), Pong)

    def forget(self, program_id: UUID) -> None:
        """Drop a program."""
        for revision in self._held.pop(program_id, {}):
            self._link.post(Forget(program_id, revision))

    @property
    def lms(self) -> set[str]:
        """The LMs that its programs may ask."""
        of_programs = (of for revisions in self._held.values() for of in revisions.values())
        return set().union(*of_programs)

    def limit(self, parts: LMParts) -> None:
        """Have it ask no more of the LMs than this; it is told where that is news."""
        if self.is_open and parts != self._parts:
            self._parts = parts
            self._link.post(Limit(dict(parts)))

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Count what is done inside as one call in flight."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            if self._is_retiring and not self.in_flight:
                self._end(STOPPED)

    def retire(self) -> None:
        """Take no more calls, and end it after those that are in flight."""
        self._is_retiring = True
        if not self.in_flight:
            self._end(STOPPED)

    def stop(self) -> None:
        """End it now."""
        self._end(STOPPED)

    def watch(self, seconds: float) -> None:
        """Note that so many seconds more have passed; one that was silent for long, hangs.

        What is counted is what the event loop saw pass: a loop that was blocked blames nobody.
        """
        if not self._hello.done():
            return
        patience = self._around.patience
        self._silent_s += seconds
        self._age_s += seconds
        if self._silent_s > patience.silence_s:
            self._end(f"gave no sign of life for {self._silent_s:g} s")
        most = self._limits.rss_bytes
        if most is not None and self._age_s > patience.settling_s and self._process.rss() > most:
            self._use_up()

    async def _hold(self, program: Program) -> None:
        """See that the child has a program at hand, and not too many revisions of it."""
        revisions = self._held.setdefault(program.program_id, {})
        if program.revision in revisions:
            return
        await self._conversation.tell(Hold(program_document(program)))
        revisions[program.revision] = lms_of(program.config, self._first.lms)
        if len(revisions) > REVISIONS_HELD:
            oldest = next(iter(revisions))
            del revisions[oldest]
            self._link.post(Forget(program.program_id, oldest))

    def _new_id(self) -> int:
        # By chance, so that no broken frame hits another's id.
        return self._around.random.getrandbits(62)

    def _take(self, payload: bytes) -> None:
        match read_from_child(payload):
            case Hello() if not self._hello.done():
                self._hello.set_result(None)
            case (Prepared() | Result() | Failure() | Pong()) as answer:
                self._conversation.hear(answer)
                self.answered += 1
                if self.answered == self._limits.answers:
                    self._use_up()
            case Spent(_, lm, outcome, prompt, completion) as spent if lm in self._first.lms:
                self._around.metrics.lm_called(lm, outcome, prompt, completion)
                self._conversation.count(spent)
            case message:
                raise ProtocolError(f"an untimely {message.kind}")

    def _lose(self, error: ProtocolError | None) -> None:
        self._end(GONE if error is None else f"broke the protocol: {error}")

    def _hear_beat(self, _: bytes) -> None:
        self._silent_s = 0.0

    def _tell_relief(self) -> None:
        self.relieved()

    def _use_up(self) -> None:
        if not self._used_up.done():
            self._used_up.set_result(None)

    def _end(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)

    async def _live(self) -> AdapterError:
        """See it to its end, and give what is to be said of it."""
        patience = self._around.patience
        self._process.exited.add_done_callback(lambda _: self._end(GONE))
        reason = await self._ended
        self._link.close()
        is_going = reason in {GONE, STOPPED}
        code = await self._process.exit_code(patience.exit_s if is_going else 0)
        words = await self._process.last_words()
        crash = crash_of(in_words(reason, code), code, words)
        self._conversation.close(crash)
        if reason != STOPPED:
            logger.warning("%s (%d): %s", self.name, self.pid, crash(Usage()).message)
        await self._process.end(patience.term_s)
        return crash(Usage())
