import pytest

from app.policies.limits import Limits


@pytest.mark.parametrize(
    ("holders", "concurrency", "requests", "tokens"),
    [(1, 64, 100, 9_000), (3, 21, 33, 3_000), (64, 1, 1, 140), (1_000, 1, 1, 9)],
)
def test_holders_share_limits(holders: int, concurrency: int, requests: int, tokens: int) -> None:
    """Each gets the same part, rounded down, and one at least."""
    limits = Limits(64, 100, 9_000, 0.2, 5)
    assert limits.divided(holders) == Limits(concurrency, requests, tokens, 0.2, 5)


def test_what_has_no_limit_has_none_for_anybody() -> None:
    """Nothing divided is nothing."""
    assert Limits().divided(7) == Limits()


@pytest.mark.parametrize(
    ("share", "limit", "of_batches"),
    [(0.2, 64, 51), (0.2, 10, 8), (0.2, 1, 1), (0.9, 100, 10), (0.0, 5, 5), (1.0, 5, 1)],
)
def test_a_share_is_kept_free_of_batches(share: float, limit: int, of_batches: int) -> None:
    """Batches have the rest, rounded down, and one at least."""
    assert Limits(interactive_share=share).of_batches(limit) == of_batches
