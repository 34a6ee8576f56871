"""The health of an adapter."""

from conformance.harness import Harness


async def test_is_good_where_programs_could_run(harness: Harness) -> None:
    """An adapter whose back-end answers is healthy and says how fast."""
    health = await harness.adapter.health_check()
    assert (health.healthy, health.error) == (True, None)
    assert health.latency_ms >= 0


async def test_says_why_it_is_bad(harness: Harness) -> None:
    """An adapter whose back-end is broken is unhealthy with a reason, and does not raise."""
    harness.unhealthy()
    health = await harness.adapter.health_check()
    assert health.healthy is False
    assert health.error
