"""This process among the others: its heartbeat, and its part of what they do for each other."""

import os
import socket
from contextlib import AsyncExitStack
from functools import partial

from app.actions.execution_waiting import ExecutionEnds
from app.actions.program_catalogue import ProgramCatalogue
from app.actions.program_execution.runs import EndedElsewhere, Runs
from app.database import Database
from app.jobs.sweep import JobSweep
from app.jobs.waiting import Waiting
from app.processes.channel import Kind
from app.processes.heartbeat import Heartbeat
from app.processes.limit_division import LimitDivision
from app.processes.sweep import Sweep
from app.processes.uploads import AbandonedUploads
from app.runtime.base import Base, narrowed, start_tasks

VERSION = "0.1.0"
COUNT_WAITING_EVERY_S = 5.0
ENDED_ELSEWHERE_EVERY_S = 1.0
DIVIDE_LIMITS_EVERY_S = 5.0


async def enter(stack: AsyncExitStack, base: Base, kind: str) -> tuple[Runs, AbandonedUploads]:
    """Enter this process among the others, and do its part for them."""
    own_connection = partial(Database.connect, narrowed(base.settings.database, 1))
    about = {"kind": kind, "host": socket.gethostname(), "pid": os.getpid(), "version": VERSION}
    heartbeat = Heartbeat(own_connection, about, base.ids, base.settings.processes, base.clock)
    runs = Runs(heartbeat.owner_id, base.reached)
    await heartbeat.open(base.reserved, runs.give_up)
    stack.push_async_callback(heartbeat.close)
    start_tasks(base)
    sweep = Sweep(base.reserved, heartbeat, base.channel, base.settings.processes, base.reached)
    sweep_jobs = JobSweep(base.reserved)
    look = EndedElsewhere(base.reserved, runs)
    abandoned = AbandonedUploads(base.reserved, heartbeat.owner_id)

    async def sweep_all() -> None:
        await sweep()
        await sweep_jobs()
        await abandoned()

    base.repeat("sweep", base.settings.processes.sweep_ms / 1_000, sweep_all)
    waiting = Waiting(base.reserved)
    base.metrics.watch_pending(waiting.counts)
    base.metrics.watch_batches(waiting.batches)
    base.repeat("count what waits", COUNT_WAITING_EVERY_S, waiting)
    base.repeat("look for ended executions", ENDED_ELSEWHERE_EVERY_S, look)
    divide_limits = LimitDivision(
        base.reserved, heartbeat.owner_id, base.adapters, base.limiters, base.settings.processes
    )
    await divide_limits()
    base.repeat("divide the limits of LMs", DIVIDE_LIMITS_EVERY_S, divide_limits)
    return runs, abandoned


def listen(base: Base, runs: Runs) -> tuple[ProgramCatalogue, ExecutionEnds]:
    """Have those hear of the others who need to; `EndedElsewhere` finds missed cancellations."""
    catalogue, ends = ProgramCatalogue(base.database, base.clock), ExecutionEnds(base.clock)
    channel = base.channel
    channel.subscribe(Kind.PROGRAMS, catalogue.forget, catalogue.forget_all)
    channel.subscribe(Kind.ENDED, ends.hear, ends.catch_up)
    channel.subscribe(Kind.CANCEL, runs.call_off, lambda: None)
    return catalogue, ends
