"""What a client may say about how a batch is run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.actions.program_execution.options import ExecutionOptions
from app.policies.retry import LONGEST_WAIT_S

LANE_SIZE = 50
"""Items that one lane has in flight, about: so a large batch is spread over processes."""

LONGEST_DEADLINE_MS = 86_400_000


@dataclass(frozen=True)
class BatchOptions:
    """Times in milliseconds; `timeout_per_item` is of one attempt.

    `batch_size` items at most are handed out and recorded together. `retry_failed: false` means no
    retries. `progress_callback` is the address of who is told of the progress and the end.
    """

    batch_size: int = 10
    max_concurrency: int = 4
    timeout_per_item: int = 30_000
    continue_on_error: bool = True
    retry_failed: bool = True
    max_retries: int = 2
    retry_delay: int = 1_000
    max_repairs: int = 0
    progress_callback: str | None = None

    def as_document(self) -> dict[str, Any]:
        """Give the options as the batch holds them."""
        return dict(vars(self))

    def for_items(self) -> ExecutionOptions:
        """Give the options of each item's execution; its deadline leaves room for every attempt."""
        retries = self.max_retries if self.retry_failed else 0
        attempts = 1 + retries + self.max_repairs
        longest = attempts * self.timeout_per_item + retries * round(LONGEST_WAIT_S * 1_000)
        return ExecutionOptions(
            timeout=self.timeout_per_item,
            max_retries=retries,
            retry_delay=self.retry_delay,
            deadline_ms=min(longest, LONGEST_DEADLINE_MS),
            max_repairs=self.max_repairs,
        )

    def shares(self, total_items: int) -> Sequence[int]:
        """Share the concurrency out to lanes: the shares add up to it, and differ by one at most.

        There are no more than the items need.
        """
        needed = min(self.max_concurrency, total_items)
        lanes = -(-needed // LANE_SIZE)
        return [needed // lanes + (number < needed % lanes) for number in range(lanes)]
