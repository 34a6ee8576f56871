import asyncio

import pytest

from app.policies.drain import Drain, Stage


def test_a_process_serves_until_it_is_told() -> None:
    """Nothing has begun before the first word."""
    drain = Drain()
    assert not drain.has_begun
    assert drain.is_at(Stage.SERVING)


@pytest.mark.parametrize("stage", [Stage.DRAINING, Stage.CLOSING, Stage.HURRYING])
async def test_a_stage_brings_those_before_it(stage: Stage) -> None:
    """Who waits for an earlier stage goes on, who waits for a later one waits."""
    drain = Drain()
    waiting = {one: asyncio.create_task(drain.until(one)) for one in Stage}
    drain.go_to(stage)
    await asyncio.gather(*(task for one, task in waiting.items() if one <= stage))
    assert drain.has_begun
    assert [one for one, task in waiting.items() if not task.done()] == [
        one for one in Stage if one > stage
    ]
    for task in waiting.values():
        task.cancel()


def test_a_stage_never_goes_back() -> None:
    """A late first word does not stop a hurry."""
    drain = Drain()
    drain.go_to(Stage.HURRYING)
    drain.go_to(Stage.DRAINING)
    assert drain.is_at(Stage.HURRYING)
