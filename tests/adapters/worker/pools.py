"""Pools of children for tests: of the scripted one, which starts in no time, or of the real one."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import psutil

from app.adapters.base import ProgramCall
from app.adapters.errors import AdapterError
from app.adapters.setup import AdapterSetup
from app.adapters.worker.adapter import COMMAND, child_pool
from app.adapters.worker.children import Child, Surroundings
from app.adapters.worker.limits import Patience
from app.adapters.worker.messages import Result
from app.adapters.worker.pool import ChildPool
from app.policies.clock import Clock, SystemClock
from app.settings import LMSettings
from app.telemetry.metrics import Metrics
from tests.adapters.programs import a_call, a_program

SCRIPT = Path(__file__).parent / "scripted_child.py"
SECRET = "sk-very-secret"  # noqa: S105 - a canary
PROGRAM = a_program("question: string -> answer: string")


def scripted(start: str = "-") -> Sequence[str]:
    """Give the command of a child that does this before it says hello."""
    return (sys.executable, "-S", str(SCRIPT), start)


@asynccontextmanager
async def a_pool(
    command: Sequence[str] = COMMAND,
    *,
    clock: Clock | None = None,
    metrics: Metrics | None = None,
    patience: Patience | None = None,
    **options: Any,
) -> AsyncIterator[ChildPool]:
    """Give a pool of one child, unless told otherwise; nothing of it is left afterwards."""
    setup = AdapterSetup(
        "workers",
        {"processes": 1, "runs": "mock", "environment": ["COVERAGE_PROCESS_CONFIG"], **options},
        lms={"main": LMSettings.model_validate({"model": "openai/small", "api_key": SECRET})},
    )
    around = Surroundings(
        clock or SystemClock(),
        Random(0),  # noqa: S311 - ids
        metrics or Metrics(),
        setup.lm_limiters,
        patience or Patience(),
    )
    before = pids()
    pool = child_pool(setup, around, command)
    try:
        yield pool
    finally:
        await pool.close()
    assert pids() <= before


def pids() -> set[int]:
    """Give the processes that this one has started, and theirs, zombies too."""
    return {child.pid for child in psutil.Process().children(recursive=True)}


async def ask(pool: ChildPool, word: str) -> Result:
    """Run the program with a word as its input."""
    return await pool.execute(saying(word))


def saying(word: str, **members: Any) -> ProgramCall:
    """Give a call with a word as its input."""
    return replace(a_call(PROGRAM, question=word), **members)


async def crash_of(pool: ChildPool, word: str) -> AdapterError:
    """Run the program with a word that ends its child, and give what the call is told."""
    try:
        result = await ask(pool, word)
    except AdapterError as error:
        return error
    raise AssertionError(f"{word} gave {result}")


async def the_child(pool: ChildPool) -> Child:
    """Give the only child of a pool, once it is ready."""
    (child,) = await pool.ready()
    return child
