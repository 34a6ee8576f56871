"""What a client may say about how an execution is run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.adapters.errors import AdapterError
from app.policies.retry import RetryPolicy


@dataclass(frozen=True)
class ExecutionOptions:
    """Times in milliseconds: `timeout` of one attempt, `deadline_ms` of the whole, waits included.

    `max_retries` counts what follows the first attempt, but for repairs, which `max_repairs`
    counts; `config` are LM parameters of this call.
    """

    timeout: int = 30_000
    max_retries: int = 2
    retry_delay: int = 1_000
    deadline_ms: int = 120_000
    max_repairs: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)

    def as_document(self) -> dict[str, Any]:
        """Give the options as the record holds them."""
        return dict(vars(self))

    def retry_policy(self, used: int, may_retry: Callable[[BaseException], bool]) -> RetryPolicy:
        """Say which failures are tried again, and when (mission section 3, step 4).

        `used` retries are behind already; `may_retry` has the last word.
        """
        return RetryPolicy(
            max_retries=self.max_retries - used,
            delay_s=self.retry_delay / 1_000,
            is_worth=lambda failure: isinstance(failure, AdapterError) and failure.recoverable,
            asked_wait_s=lambda failure: getattr(failure, "retry_after", None),
            may_retry=may_retry,
        )
