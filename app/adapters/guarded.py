"""An adapter with its policies around it: breaker, limit, retry budget, what is known of it."""

import asyncio
import logging
import math
from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

from app.adapters.base import (
    OPERATIONS,
    Adapter,
    AdapterHealth,
    AdapterStats,
    Program,
    ProgramCall,
    ProgramInfo,
    ProgramResult,
    members_of,
)
from app.adapters.errors import AdapterError, ErrorType
from app.policies.breaker import Breaker, BreakerOpenError, BreakerState, Passage
from app.policies.budget import RetryBudget
from app.policies.clock import Clock, SystemClock
from app.policies.deadline import Deadline
from app.policies.limiter import Limiter, LimitReachedError
from app.policies.limits import Limits
from app.signatures.definition import SignatureDefinition

HEALTH_TIMEOUT_S = 10.0
"""How long a health check may take before the adapter counts as ill."""

TIMER_SLACK_S = 0.02
"""A call that is cancelled so shortly before its time is over was cancelled by its timer."""

FAILURES = frozenset(
    {
        ErrorType.TIMEOUT,
        ErrorType.CONNECTION_FAILED,
        ErrorType.BACKEND_ERROR,
        ErrorType.OVERLOADED,
    }
)
"""What says that the back-end is away, as a crash does. Other errors are the caller's, the
program's, the operator's, or ask for fewer calls: all of them are answers."""

LIMIT = "limit"
"""What the context of a failure holds that one of our own limits caused."""

logger = logging.getLogger(__name__)


class AdapterStatus(StrEnum):
    """What this process knows of an adapter, by its breaker, its last call and its last check."""

    UNKNOWN = "unknown"
    """Neither called nor checked yet."""
    HEALTHY = "healthy"
    WARNING = "warning"
    """Its breaker is half open."""
    ERROR = "error"
    """Its breaker is open, or its health check failed."""


_OF_BREAKER = {
    BreakerState.OPEN: AdapterStatus.ERROR,
    BreakerState.HALF_OPEN: AdapterStatus.WARNING,
}


class GuardedAdapter:
    """Passes calls on to `inner` as its breaker and its limit allow; all else as it is."""

    def __init__(
        self,
        inner: Adapter,
        breaker: Breaker | None = None,
        limiter: Limiter | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.inner = inner
        self._clock = clock or SystemClock()
        self.breaker = breaker or Breaker(self._clock, math.inf)
        self.limiter = limiter or Limiter(self._clock, Limits())
        self.retries = RetryBudget(self._clock)
        self.in_flight = 0
        self._known = AdapterStatus.UNKNOWN

    @property
    def name(self) -> str:
        """The operator's name for it."""
        return self.inner.name

    @property
    def kind(self) -> str:
        """The implementation's kind."""
        return self.inner.kind

    @property
    def members(self) -> Sequence[Adapter]:
        """The adapters that it is made of; none where it is a back-end itself."""
        return members_of(self.inner)

    @property
    def member_names(self) -> Sequence[str] | None:
        """Their names, as operators are shown them; None where there are no members."""
        return [member.name for member in self.members] or None

    @property
    def status(self) -> AdapterStatus:
        """What this process knows of it."""
        return _OF_BREAKER.get(self.breaker.state, self._known)

    @property
    def limits(self) -> Limits:
        """How much it is called at most, in this process."""
        return self.limiter.limits

    @property
    def capabilities(self) -> Sequence[str]:
        """The operations that it has."""
        return [name for name in OPERATIONS if hasattr(self.inner, name)]

    async def execute_program(self, call: ProgramCall) -> ProgramResult:
        """Run a program.

        `overloaded` where the breaker is open, at once, or where its turn does not come in time.
        """
        time = Deadline(self._clock, call.seconds)
        with self._admitted() as passage:
            try:
                result = await self._in_turn(call)
            except AdapterError as failure:
                if failure.type is ErrorType.TIMEOUT and _is_over(time):
                    passage.timed_out(call.told.waited_s)
                else:
                    self._hear(failure, passage)
                raise
            except asyncio.CancelledError:
                if _is_over(time):
                    passage.timed_out(call.told.waited_s)
                raise
            passage.succeeded(call.told.waited_s)
        self._known = AdapterStatus.HEALTHY
        return result

    def _admitted(self) -> Passage:
        try:
            return self.breaker.admit()
        except BreakerOpenError as refusal:
            message = f"the adapter {self.name} is left alone, since its calls fail"
            raise AdapterError(
                ErrorType.OVERLOADED,
                message,
                context={"breaker": str(self.breaker.state)},
                retry_after=round(refusal.retry_after_s, 3),
            ) from None

    def _hear(self, failure: AdapterError, passage: Passage) -> None:
        """Tell the breaker what a failure says of the back-end."""
        if failure.type is ErrorType.WORKER_CRASHED:
            passage.crashed()
        elif failure.type in FAILURES and LIMIT not in failure.context:
            passage.failed()

    async def _in_turn(self, call: ProgramCall) -> ProgramResult:
        if self.limiter.limits.max_concurrency is None:
            return await self._counted(call)
        began, has_s = self._clock.monotonic(), 0.0 if call.has_substitute else call.seconds
        try:
            async with self.limiter.turn(call.priority, has_s=has_s):
                call.told.waited_s = self._clock.monotonic() - began
                return await self._counted(call)
        except LimitReachedError as reached:
            message = f"the adapter {self.name} has been called by too many at once for too long"
            context = {LIMIT: str(reached.limit)}
            raise AdapterError(ErrorType.OVERLOADED, message, context=context) from None

    async def _counted(self, call: ProgramCall) -> ProgramResult:
        self.in_flight += 1
        try:
            return await self.inner.execute_program(call)
        finally:
            self.in_flight -= 1

    async def health_check(self) -> AdapterHealth:
        """Ask the back-end, whatever the breaker says; never raises, and takes 10 s at most."""
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                health = await self.inner.health_check()
        except TimeoutError:
            health = self._ill(began, f"no answer within {HEALTH_TIMEOUT_S:g} s")
        except Exception as error:
            logger.exception("the health check of the adapter %s failed", self.name)
            health = self._ill(began, f"the check failed ({type(error).__name__})")
        self._known = AdapterStatus.HEALTHY if health.healthy else AdapterStatus.ERROR
        return health

    def _ill(self, began: float, error: str) -> AdapterHealth:
        latency_ms = (self._clock.monotonic() - began) * 1_000
        return AdapterHealth(healthy=False, latency_ms=latency_ms, error=error)

    def reset(self) -> None:
        """Close the breaker."""
        logger.info("the breaker of the adapter %s is reset", self.name)
        self.breaker.reset()

    async def create_program(self, program: Program) -> None:
        """Pass on."""
        await self.inner.create_program(program)

    async def list_programs(self) -> Sequence[ProgramInfo]:
        """Pass on."""
        return await self.inner.list_programs()

    async def delete_program(self, program_id: UUID) -> bool:
        """Pass on."""
        return await self.inner.delete_program(program_id)

    async def get_program_info(self, program_id: UUID) -> ProgramInfo:
        """Pass on."""
        return await self.inner.get_program_info(program_id)

    async def validate_signature(self, signature: SignatureDefinition) -> None:
        """Pass on."""
        await self.inner.validate_signature(signature)

    async def get_stats(self) -> AdapterStats:
        """Pass on."""
        return await self.inner.get_stats()

    async def cleanup(self) -> None:
        """Pass on."""
        await self.inner.cleanup()


def _is_over(time: Deadline) -> bool:
    """Say whether it was the caller whose time was over."""
    return time.remaining_s <= TIMER_SLACK_S
