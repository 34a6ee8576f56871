"""The child's side of the frames: an adapter that runs programs as its parent asks."""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any
from uuid import UUID

from typing_extensions import override

from app.adapters.base import Adapter, Program, ProgramCall, WarmsUp
from app.adapters.dspy import DspyAdapter
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.lm_limits import LMLimiters
from app.adapters.mock import MockAdapter
from app.adapters.setup import AdapterFactory, AdapterSetup
from app.adapters.usage import Usage
from app.adapters.worker.documents import (
    failure_message,
    read_call,
    read_lms,
    read_program,
    result_message,
)
from app.adapters.worker.frames import FrameTooLongError, ProtocolError
from app.adapters.worker.link import Link
from app.adapters.worker.messages import (
    Answer,
    Cancel,
    Execute,
    Forget,
    FromParent,
    Hello,
    Hold,
    Limit,
    Ping,
    Pong,
    Prepare,
    Prepared,
    Question,
    Spent,
    Start,
    read_from_parent,
)
from app.policies.clock import SystemClock
from app.telemetry.metrics import Metrics

RUNS: Mapping[str, AdapterFactory] = MappingProxyType({"dspy": DspyAdapter, "mock": MockAdapter})
"""The kinds of adapter that run programs in a child."""

logger = logging.getLogger(__name__)


_asked: ContextVar[int] = ContextVar("dspatch_asked")
"""The id of the question that is being answered."""


class ToldMetrics(Metrics):
    """The metrics of a child: calls of LMs are counted by its parent."""

    def __init__(self, tell: Callable[[Spent], None]) -> None:
        super().__init__()
        self._tell = tell

    @override
    def lm_called(self, lm: str, outcome: str, prompt: int, completion: int) -> None:
        self._tell(Spent(_asked.get(), lm, outcome, prompt, completion))


class ProgramServer:
    """Answers one parent, from its `Start` until it closes its end of the frames."""

    def __init__(self, runs: Mapping[str, AdapterFactory] = RUNS) -> None:
        self._loop = asyncio.get_running_loop()
        self._runs = runs
        self._link = Link(self._take, self._lose)
        self._started: asyncio.Future[Start | None] = self._loop.create_future()
        self._lost: asyncio.Future[ProtocolError | None] = self._loop.create_future()
        self._adapter: Adapter | None = None
        self._limiters = LMLimiters({}, SystemClock())
        self._programs: dict[tuple[UUID, int], Program] = {}
        self._answering: dict[int, asyncio.Task[None]] = {}
        self._working: set[asyncio.Task[Any]] = set()

    async def serve(self, frames: socket.socket) -> None:
        """Serve to the end; ProtocolError where the parent says what is none of its words."""
        await self._loop.create_unix_connection(lambda: self._link, sock=frames)
        if (start := await self._started) is not None:
            self._adapter = await self._ready_adapter(start)
            self._link.post(Hello())
        if (error := await self._lost) is not None:
            raise error
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)
        if self._adapter is not None:
            await self._adapter.cleanup()

    async def _ready_adapter(self, start: Start) -> Adapter:
        lms = read_lms(start.lms)
        self._limiters = LMLimiters(lms, SystemClock())
        setup = AdapterSetup(
            start.name,
            lms=lms,
            environment={},
            metrics=ToldMetrics(self._tell),
            limiters=self._limiters,
        )
        adapter = self._runs[start.runs](setup)
        if isinstance(adapter, WarmsUp):
            await adapter.warm_up()
        return adapter

    def _tell(self, spent: Spent) -> None:
        """Tell what was spent, from whichever thread."""
        self._loop.call_soon_threadsafe(self._link.post, spent)

    def _lose(self, error: ProtocolError | None) -> None:
        self._lost.set_result(error)
        if not self._started.done():
            self._started.set_result(None)

    def _take(self, payload: bytes) -> None:
        match read_from_parent(payload):
            case Start() as start if not self._started.done():
                self._started.set_result(start)
            case message if self._adapter is not None:
                self._take_next(message, self._adapter)
            case message:
                raise ProtocolError(f"an untimely {message.kind}")

    def _take_next(self, message: FromParent, adapter: Adapter) -> None:
        match message:
            case Hold(document):
                self._programs[document.program_id, document.revision] = read_program(document)
            case Limit(parts):
                self._limiters.set(parts)
            case Forget():
                self._forget(message, adapter)
            case Cancel(id):
                if id in self._answering:  # else its answer is on its way
                    # Not before its first step, or it could not answer.
                    self._loop.call_soon(self._answering[id].cancel)
            case Prepare() | Execute() | Ping():
                self._answering[message.id] = self._begin(self._answer(message, adapter))
            case _:
                raise ProtocolError("a second start")

    def _forget(self, message: Forget, adapter: Adapter) -> None:
        del self._programs[message.program_id, message.revision]
        if all(program_id != message.program_id for program_id, _ in self._programs):
            _ = self._begin(adapter.delete_program(message.program_id))

    def _begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = self._loop.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return task

    async def _answer(self, question: Question, adapter: Adapter) -> None:
        _asked.set(question.id)
        call = self._call(question) if isinstance(question, Execute) else None
        answer = await self._outcome(question, call, adapter)
        del self._answering[question.id]  # from here on nothing interrupts the answer
        try:
            await self._link.send(answer)
        except ValueError as error:
            self._link.post(failure_message(question.id, _unsendable(error, _spent(call))))

    def _call(self, message: Execute) -> ProgramCall:
        return read_call(self._programs[message.program_id, message.revision], message)

    async def _outcome(
        self, question: Question, call: ProgramCall | None, adapter: Adapter
    ) -> Answer:
        try:
            return await self._asked_of(question, call, adapter)
        except AdapterError as error:
            failure = error
        except asyncio.CancelledError:
            message = "The call was cancelled."
            failure = AdapterError(ErrorType.CANCELLED, message, usage=_spent(call))
        except Exception as error:
            logger.exception("the adapter raised what is no AdapterError")
            message = f"The adapter failed: {type(error).__name__}."
            failure = AdapterError(ErrorType.UNEXPECTED, message, usage=_spent(call))
        return failure_message(question.id, failure, call)

    async def _asked_of(
        self, question: Question, call: ProgramCall | None, adapter: Adapter
    ) -> Answer:
        if call is not None:
            return result_message(question.id, call, await adapter.execute_program(call))
        if isinstance(question, Prepare):
            await adapter.create_program(self._programs[question.program_id, question.revision])
            return Prepared(question.id)
        health = await adapter.health_check()
        return Pong(question.id, health.healthy, health.latency_ms, health.error)


def _spent(call: ProgramCall | None) -> Usage:
    return Usage() if call is None else call.told.usage


def _unsendable(error: ValueError, spent: Usage) -> AdapterError:
    if isinstance(error, FrameTooLongError):
        message = f"The answer is too long: {error}."
        return AdapterError(ErrorType.BACKEND_ERROR, message, usage=spent)
    return AdapterError(ErrorType.UNEXPECTED, "The answer is no JSON.", usage=spent)
