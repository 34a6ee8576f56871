"""Which failures are tried again, how often, and after how long a wait."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from app.policies.clock import Clock
from app.policies.deadline import Deadline

LONGEST_WAIT_S = 60.0

T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential back-off with full jitter: before retry n, up to `delay_s` · 2ⁿ⁻¹ seconds.

    `is_worth` picks the failures that are tried again; `asked_wait_s` tells how long a failure
    asks to wait, which wins over the back-off. No wait is longer than a minute. `may_retry` is
    asked last, about a failure that would be tried again otherwise.
    """

    max_retries: int
    delay_s: float
    is_worth: Callable[[BaseException], bool]
    asked_wait_s: Callable[[BaseException], float | None]
    may_retry: Callable[[BaseException], bool]

    async def run(
        self, work: Callable[[], Awaitable[T]], deadline: Deadline, clock: Clock, random: Random
    ) -> T:
        """Do work until it succeeds; its last failure climbs where no retry or no time is left.

        Work that succeeds at once, as most does, pays nothing for what would have come after.
        """
        try:
            return await work()
        except Exception as error:  # noqa: BLE001 - it is raised again, as the first attempt's
            failures = [error]

        async def attempt() -> T:
            if failures:
                raise failures.pop()
            return await work()

        return await self._retrying(deadline, clock, random)(attempt)

    def _retrying(self, deadline: Deadline, clock: Clock, random: Random) -> AsyncRetrying:

        def wait(state: RetryCallState) -> float:
            asked = self.asked_wait_s(_failure(state))
            if asked is not None:
                return min(asked, LONGEST_WAIT_S)
            return random.uniform(0, self._ceiling(state.attempt_number))

        def stop(state: RetryCallState) -> bool:
            return (
                state.attempt_number > self.max_retries
                or state.upcoming_sleep >= deadline.remaining_s
                or not self.may_retry(_failure(state))
            )

        return AsyncRetrying(
            retry=retry_if_exception(self.is_worth),
            wait=wait,
            stop=stop,
            sleep=clock.sleep,
            reraise=True,
        )

    def _ceiling(self, attempt: int) -> float:
        return min(self.delay_s * 2.0 ** (attempt - 1), LONGEST_WAIT_S)


def _failure(state: RetryCallState) -> BaseException:
    if state.outcome is None or (failure := state.outcome.exception()) is None:
        raise RuntimeError("only a failed attempt is tried again")
    return failure
