"""How this process is: its event loop, its processor, its memory, and what executions cost it."""

import asyncio
from collections.abc import Callable

from app.policies.clock import Clock
from app.policies.loop_lag import LoopLag
from app.policies.processor_use import ProcessorUse
from app.telemetry.execution_cost import ExecutionCost
from app.telemetry.footprint import Footprint, FootprintReader


class Vitals:
    """What is measured all the time, and what is read when somebody asks."""

    def __init__(self, clock: Clock, read: Callable[[], Footprint] | None = None) -> None:
        self.loop_lag = LoopLag(clock)
        self.processor = ProcessorUse(clock)
        self.cost = ExecutionCost()
        self._read = read or FootprintReader()
        self._clock = clock
        self._started_s = clock.monotonic()

    @property
    def uptime_s(self) -> float:
        """Seconds since the start."""
        return self._clock.monotonic() - self._started_s

    async def footprint(self) -> Footprint:
        """Read what the process holds, which would block the event loop for milliseconds."""
        return await asyncio.to_thread(self._read)

    async def observe_cost(self, running: int) -> None:
        """Learn what the executions cost that run."""
        self.cost.observe(running, (await self.footprint()).total_bytes)
