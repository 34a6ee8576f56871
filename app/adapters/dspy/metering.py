"""Counting the calls of an LM for the process's metrics."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.adapters.dspy.calls import LMCall
from app.adapters.dspy.errors import meaning_of
from app.adapters.errors import ErrorType
from app.telemetry.metrics import Metrics

SUCCESS = "success"


class LMMeter:
    """Counts the calls of the LMs of one process."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    @contextmanager
    def counting(self, call: LMCall) -> Iterator[None]:
        """Count the call that is made inside, with how it ended and what it cost."""
        outcome = str(ErrorType.CANCELLED)
        try:
            yield
            outcome = SUCCESS
        except Exception as error:
            outcome = str(meaning_of(error).type)
            raise
        finally:
            spent = call.usage
            self._metrics.lm_called(call.lm, outcome, spent.prompt_tokens, spent.completion_tokens)
