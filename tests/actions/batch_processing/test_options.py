import pytest

from app.actions.batch_processing.options import LANE_SIZE, LONGEST_DEADLINE_MS, BatchOptions


@pytest.mark.parametrize("concurrency", [1, 4, 49, 50, 51, 99, 100, 101, 120, 999, 1000])
@pytest.mark.parametrize("items", [1, 3, 100, 10**6])
def test_shares_add_up_to_the_concurrency(concurrency: int, items: int) -> None:
    """There are as many lanes as it takes, none is larger than it should be, none is empty."""
    shares = BatchOptions(max_concurrency=concurrency).shares(items)
    assert sum(shares) == min(concurrency, items)
    assert len(shares) == -(-min(concurrency, items) // LANE_SIZE)
    assert max(shares) <= LANE_SIZE
    assert max(shares) - min(shares) <= 1


def test_without_items_there_are_no_lanes() -> None:
    """An empty batch has nothing to run."""
    assert list(BatchOptions().shares(0)) == []


def test_items_have_the_options_of_their_batch() -> None:
    """Timeout, retries and repairs are each item's, with time for all of them."""
    options = BatchOptions(timeout_per_item=5_000, max_retries=3, retry_delay=7, max_repairs=1)
    found = options.for_items()
    assert (found.timeout, found.max_retries, found.retry_delay) == (5_000, 3, 7)
    assert (found.max_repairs, found.deadline_ms) == (1, 5 * 5_000 + 3 * 60_000)


def test_without_retries_each_item_has_one_attempt() -> None:
    """`retry_failed: false` wins over their number."""
    found = BatchOptions(retry_failed=False, max_retries=5).for_items()
    assert (found.max_retries, found.deadline_ms) == (0, 30_000)


def test_the_longest_deadline_is_a_day() -> None:
    """Whatever the attempts may add up to."""
    options = BatchOptions(timeout_per_item=3_600_000, max_retries=10, max_repairs=5)
    longest = options.for_items().deadline_ms
    assert longest == 16 * 3_600_000 + 10 * 60_000 < LONGEST_DEADLINE_MS
    assert BatchOptions(timeout_per_item=10**8).for_items().deadline_ms == LONGEST_DEADLINE_MS
