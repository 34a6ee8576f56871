"""Which ends of a job give it back."""

import asyncio

import pytest
from procrastinate.exceptions import JobAborted
from procrastinate.jobs import Job

from app.jobs.retry import GiveBack, GivenBackError

JOB = Job(queue="letters", lock=None, queueing_lock=None, task_name="post")


@pytest.mark.parametrize("stop", [GivenBackError(), asyncio.CancelledError(), JobAborted()])
def test_what_was_stopped_is_given_back(stop: BaseException) -> None:
    """At once, whoever stopped it."""
    decision = GiveBack().get_retry_decision(exception=stop, job=JOB)
    assert decision is not None
    assert decision.retry_at is None


@pytest.mark.parametrize("failure", [ValueError(), TimeoutError(), KeyboardInterrupt()])
def test_what_failed_is_not(failure: BaseException) -> None:
    """It would fail again."""
    assert GiveBack().get_retry_decision(exception=failure, job=JOB) is None
