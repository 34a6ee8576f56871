"""How a process that serves comes to its end, without losing what it has accepted."""

import asyncio
from enum import IntEnum


class Stage(IntEnum):
    """Where the end stands; it only goes forward."""

    SERVING = 0
    """Nobody has asked for the end."""
    DRAINING = 1
    """Not ready any more, but requests are still taken."""
    CLOSING = 2
    """No new connection is taken; what runs may end within the grace."""
    HURRYING = 3
    """Nothing is waited for any more."""


class Drain:
    """The stage of one process, for all who look at it or wait for it."""

    def __init__(self) -> None:
        self._stage = Stage.SERVING
        self._reached = {stage: asyncio.Event() for stage in Stage}

    @property
    def has_begun(self) -> bool:
        """Whether the process shall be sent no new requests."""
        return self.is_at(Stage.DRAINING)

    def is_at(self, stage: Stage) -> bool:
        """Tell whether this stage, or a later one, has been reached."""
        return self._stage >= stage

    def go_to(self, stage: Stage) -> None:
        """Go forward to a stage; nothing happens where it has been reached."""
        self._stage = max(stage, self._stage)
        for reached in Stage:
            if self.is_at(reached):
                self._reached[reached].set()

    async def until(self, stage: Stage) -> None:
        """Return when the stage, or a later one, has been reached."""
        await self._reached[stage].wait()
