"""Which jobs are given back by whom they were taken, to be taken by another."""

import asyncio

from procrastinate import BaseRetryStrategy, RetryDecision
from procrastinate.exceptions import JobAborted
from procrastinate.jobs import Job
from typing_extensions import override


class GivenBackError(Exception):
    """A job says by this that it is to be taken again, because there is work left or no time."""


class GiveBack(BaseRetryStrategy):
    """Gives back what was stopped, and lets fail what failed.

    What a job was to do stands in our own tables, so that one that failed is missed there.
    """

    @override
    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        is_stopped = isinstance(exception, GivenBackError | JobAborted | asyncio.CancelledError)
        return RetryDecision() if is_stopped else None
