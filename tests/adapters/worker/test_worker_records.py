"""Programs whose children break: the record says what happened, how often, and in what time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest

from app.adapters.calling import call_adapter
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.guarded import GuardedAdapter
from app.adapters.worker.adapter import WorkerAdapter
from app.adapters.worker.limits import Patience
from app.database import Database
from app.errors import ExecutionError
from app.models import Execution
from app.models.states import ExecutionStatus, Outcome
from app.policies.breaker import Breaker
from app.policies.clock import SystemClock
from app.policies.deadline import Deadline
from app.signatures.compile import CompiledSignature
from tests.adapters.worker.pools import PROGRAM, a_pool, saying, scripted
from tests.adapters.worker.test_worker_adapter import an_adapter
from tests.support.clock import ManualClock
from tests.support.factories import a_program, a_run, an_action, the_record
from tests.support.wait import wait_until

QUICK = Patience(answer_s=0.3, exit_s=0.5, term_s=0.2)
MEBIBYTE = 1024 * 1024


@asynccontextmanager
async def a_worker(start: str = "-") -> AsyncIterator[WorkerAdapter]:
    """Give an adapter with a scripted child."""
    async with a_pool(scripted(start), patience=QUICK) as pool:
        yield an_adapter(pool)


async def record_of(database: Database, word: str, start: str = "-", **options: Any) -> Execution:
    """Run a program whose child does what the word says, and give the record."""
    async with a_worker(start) as adapter:
        program = await a_program(database, adapter=adapter.name)
        action = an_action(database, adapter, clock=SystemClock())
        with pytest.raises(ExecutionError):
            await action(a_run(program, {"question": word}, retry_delay=10, **options))
    return await the_record(database, program)


PHASES = {
    "at its start": ("exit", "well"),
    "while it prepares": ("prepare: kill", "well"),
    "while it runs": ("-", "die"),
    "after a call of a model": ("-", "spend and die"),
    "within its answer": ("-", "half a frame"),
    "with a wrong answer": ("-", "unknown id"),
    "with no frame at all": ("-", "garbage"),
}


@pytest.mark.parametrize("phase", PHASES)
async def test_a_crash_is_recorded_with_every_attempt(database: Database, phase: str) -> None:
    """Whenever the child crashes: as often as the options allow, within the deadline."""
    start, word = PHASES[phase]
    record = await record_of(database, word, start, max_retries=2, deadline_ms=20_000)
    assert record.duration_ms is not None
    assert record.duration_ms < 21_000
    assert (record.status, record.outcome) == (ExecutionStatus.FAILED, Outcome.EXECUTION_ERROR)
    assert [one["error"]["type"] for one in record.attempts] == ["worker_crashed"] * 3
    assert record.error == record.attempts[-1]["error"]
    assert record.error is not None
    assert record.error["message"].startswith("The child process ")


async def test_what_the_child_has_written_is_recorded(database: Database) -> None:
    """Its standard error, without the secret."""
    record = await record_of(database, "complain", max_retries=0)
    assert record.error is not None
    assert record.error["context"] == {"exit_code": 3, "stderr": "token …, said  and [31m"}


@pytest.mark.parametrize("word", ["hang", "ignore sigterm", "freeze"])
async def test_a_hang_ends_at_the_timeout(database: Database, word: str) -> None:
    """To within a second, and so does the next attempt, on another child."""
    record = await record_of(database, word, max_retries=1, timeout=1_000, deadline_ms=60_000)
    assert (record.status, record.outcome) == (ExecutionStatus.FAILED, Outcome.TIMEOUT)
    first, second = record.attempts
    assert first["error"]["type"] == second["error"]["type"] == "timeout"
    assert 1_000 <= first["duration_ms"] < 2_000
    assert 1_000 <= second["duration_ms"] < 2_000


async def test_a_hang_ends_at_the_deadline() -> None:
    """Although the child does not say that it has stopped."""
    clock = SystemClock()
    async with a_worker() as adapter:
        await adapter.execute_program(saying("well"))
        call = saying("hang", deadline=Deadline(clock, 0.5))
        with pytest.raises(AdapterError) as caught:
            await call_adapter(adapter, call, CompiledSignature(PROGRAM.signature), clock)
    assert caught.value.type is ErrorType.TIMEOUT
    assert 500 <= call.told.duration_ms < 1_500


@pytest.mark.parametrize("word", ["flood of frames", "flood of text", "endless frame"])
async def test_a_flood_does_not_fill_the_memory(database: Database, word: str) -> None:
    """Neither of frames, nor of what is printed, nor of a frame that never ends."""
    process = psutil.Process()
    base = most = process.memory_info().rss

    def is_ended() -> bool:
        nonlocal most
        most = max(most, process.memory_info().rss)
        return recording.done()

    recording = asyncio.create_task(
        record_of(database, word, max_retries=0, timeout=2_000, deadline_ms=60_000)
    )
    await wait_until(is_ended, 40)
    assert recording.result().status == ExecutionStatus.FAILED
    assert most - base < 64 * MEBIBYTE


async def test_a_crash_loop_opens_the_breaker() -> None:
    """The call that comes then is refused at once, and nothing is started for it."""
    async with a_worker("exit") as worker:
        adapter = GuardedAdapter(worker, Breaker(ManualClock(), 5, 10))
        types = []
        for _ in range(6):
            with pytest.raises(AdapterError) as caught:
                await adapter.execute_program(saying("well"))
            types.append(caught.value.type)
        assert types == [ErrorType.WORKER_CRASHED] * 5 + [ErrorType.OVERLOADED]
        adapter.reset()
