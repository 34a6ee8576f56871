"""What an execution costs in memory while it runs, by what the process has held so far."""

LEAST_BYTES = 1024 * 1024
"""No execution is reckoned cheaper: what it holds in buffers comes and goes between two looks."""


class ExecutionCost:
    """Learns from looks at the process: the one with the most executions at once tells the most.

    What was held before it, with nothing running, is not theirs. Memory that was taken once is
    seldom given back, so that later looks at an idle process tell nothing.
    """

    def __init__(self) -> None:
        self._idle_bytes: int | None = None
        self._most = 0
        self._observed_bytes = 0.0

    @property
    def bytes(self) -> float:
        """Bytes of one execution."""
        return max(self._observed_bytes, LEAST_BYTES)

    def observe(self, running: int, held_bytes: int) -> None:
        """Learn that so much is held while so many executions run."""
        if running == 0 or self._idle_bytes is None:
            self._idle_bytes = held_bytes
        elif running > self._most:
            self._most = running
            self._observed_bytes = (held_bytes - self._idle_bytes) / running
