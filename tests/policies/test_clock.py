from datetime import UTC, datetime, timedelta

from app.policies.clock import SystemClock


async def test_the_system_clock_is_the_machines() -> None:
    """Its time of day is aware and in UTC, its monotonic time never goes back."""
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.monotonic() >= before
    assert clock.now().tzinfo is UTC
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
