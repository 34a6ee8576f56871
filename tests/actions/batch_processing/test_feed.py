"""The feed claims what slots need, ahead of need where they would wait, and loses nothing."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from app.actions.batch_processing.feed import Feed
from app.stores.batch_lanes import Item
from tests.stores.rows import IDS
from tests.support.clock import ManualClock


class Source:
    """Gives numbered items, as many as are claimed; each claim takes `latency_s`."""

    def __init__(self, count: int, latency_s: float = 0.0) -> None:
        self.clock = ManualClock()
        self.claims: list[int] = []
        self._left = count
        self._given = 0
        self._latency_s = latency_s

    async def claim(self, limit: int) -> Sequence[Item] | None:
        """Give up to `limit` items, or None at the end."""
        self.claims.append(limit)
        await self.clock.sleep(self._latency_s)
        numbers = range(self._given, min(self._given + limit, self._left))
        self._given += len(numbers)
        return [an_item(number) for number in numbers] or None


def an_item(number: int) -> Item:
    """Make an item."""
    return Item(IDS.new(), number, {}, (), datetime.now(UTC), 0.0)


def a_feed(source: Source, slots: int = 4, most: int = 10) -> Feed:
    """Make a feed for so many slots, of claims of at most so many items."""
    return Feed(source.claim, slots, most, source.clock)


async def drained(feed: Feed) -> list[int]:
    """Take all items, one after the other."""
    found = []
    while (item := await feed.next()) is not None:
        found.append(item.index)
    return found


async def test_items_come_in_order_to_the_end() -> None:
    """Each once; at the end everybody is told, again and again."""
    feed = a_feed(Source(25))
    assert await drained(feed) == list(range(25))
    assert await feed.next() is None
    assert await feed.rest() == []


async def test_what_was_put_in_comes_first() -> None:
    """Before anything is claimed."""
    source = Source(2)
    feed = a_feed(source)
    feed.put([an_item(8), an_item(9)])
    assert await drained(feed) == [8, 9, 0, 1]


async def test_as_many_are_claimed_as_slots_wait() -> None:
    """By one claim, which is never larger than it may be."""
    source = Source(100)
    feed = a_feed(source, slots=12, most=10)
    items = await asyncio.gather(*(feed.next() for _ in range(12)))
    assert sorted(item.index for item in items if item) == list(range(12))
    assert source.claims == [10, 2]


async def test_nothing_is_claimed_ahead_where_items_take_long() -> None:
    """A claimed item is as good as running: it does not lie about."""
    source = Source(100, latency_s=0.005)
    feed = a_feed(source)
    for _ in range(5):
        await asyncio.gather(*(feed.next() for _ in range(4)))
        source.clock.advance(10)
    assert source.claims == [4] * 5
    assert await feed.rest() == []


async def test_items_are_claimed_ahead_where_slots_would_wait() -> None:
    """As many as the slots take until the next claim has come, but no more than there are slots."""
    source = Source(1_000, latency_s=0.005)
    feed = a_feed(source)
    for _ in range(20):
        await asyncio.gather(*(feed.next() for _ in range(4)))
        source.clock.advance(0.001)
    rest = await feed.rest()
    assert 0 < len(rest) <= 2 * 4
    assert max(source.claims) <= 8


async def test_a_feed_that_is_stopped_gives_back_what_it_has() -> None:
    """Nothing is handed out any more, what was claimed is not lost."""
    source = Source(10)
    feed = a_feed(source)
    feed.put([an_item(number) for number in (50, 51)])
    item = await feed.next()
    assert item is not None
    feed.stop()
    assert feed.is_stopped
    assert await feed.next() is None
    assert [item.index for item in await feed.rest()] == [51]


async def test_what_a_claim_brings_after_the_stop_is_not_lost() -> None:
    """Who asks for the rest waits for it."""
    gate = asyncio.Event()

    async def claim(_: int) -> Sequence[Item]:
        await gate.wait()
        return [an_item(7)]

    feed = Feed(claim, 1, 1, ManualClock())
    waiting = asyncio.create_task(feed.next())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    feed.stop()
    gate.set()
    assert await waiting is None
    assert [item.index for item in await feed.rest()] == [7]


async def test_a_claim_that_fails_is_told_to_every_slot() -> None:
    """Those that wait, and those that come later."""

    async def claim(_: int) -> Sequence[Item]:
        raise ValueError("no")

    feed = Feed(claim, 3, 1, ManualClock())
    ends = await asyncio.gather(*(feed.next() for _ in range(3)), return_exceptions=True)
    assert [str(end) for end in ends] == ["no"] * 3
    with pytest.raises(ValueError, match="no"):
        await feed.next()


async def test_closing_ends_a_claim_that_is_under_way() -> None:
    """Nobody waits for it any more; where there is none nothing happens."""

    async def claim(_: int) -> Sequence[Item]:
        await asyncio.Future()
        raise AssertionError

    feed = Feed(claim, 1, 1, ManualClock())
    await feed.close()
    feed = Feed(claim, 1, 1, ManualClock())
    waiting = asyncio.create_task(feed.next())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await feed.close()
    assert await waiting is None
