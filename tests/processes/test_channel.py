import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from random import Random
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from typing_extensions import override

from app.database import Database
from app.policies.clock import SystemClock
from app.processes.channel import (
    FIRST_PAUSE_S,
    IDS_OF_A_NOTICE,
    LONGEST_PAUSE_S,
    MOST_WAITING,
    ControlChannel,
    Kind,
)
from app.stores.notices import CHANNEL, NoticeLink
from tests.support.clock import ManualClock
from tests.support.wait import wait_until

RANDOM = Random(0)  # noqa: S311 - jitter


class Ear:
    """Hears one kind, and counts how often it had to catch up."""

    def __init__(self, channel: ControlChannel, kind: Kind) -> None:
        self.heard: list[list[UUID]] = []
        self.catches = 0
        channel.subscribe(kind, self._hear, self._catch_up)

    def _hear(self, ids: Collection[UUID]) -> None:
        self.heard.append(list(ids))

    def _catch_up(self) -> None:
        self.catches += 1


@asynccontextmanager
async def running(
    channel: ControlChannel, connect: Callable[[], Awaitable[NoticeLink]]
) -> AsyncIterator[asyncio.Task[None]]:
    """Let a channel run while the block lasts."""
    task = asyncio.create_task(channel.run(connect))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


@asynccontextmanager
async def two_channels(database: Database) -> AsyncIterator[tuple[ControlChannel, ControlChannel]]:
    """Join two channels by the database, each with an ear for ends that is there in time."""
    one, other = (ControlChannel(SystemClock(), RANDOM) for _ in range(2))
    ears = [Ear(one, Kind.ENDED), Ear(other, Kind.ENDED)]
    async with running(one, database.open_notices), running(other, database.open_notices):
        await wait_until(lambda: all(ear.catches for ear in ears))
        yield one, other


async def test_what_one_tells_the_other_hears(database: Database) -> None:
    """By kind; those in the same process hear it at once, and once."""
    async with two_channels(database) as (one, other):
        here, there = Ear(one, Kind.CANCEL), Ear(other, Kind.CANCEL)
        programs = Ear(other, Kind.PROGRAMS)
        cancelled, program = uuid4(), uuid4()
        one.tell(Kind.CANCEL, [cancelled])
        assert here.heard == [[cancelled]]
        one.tell(Kind.PROGRAMS, [program])
        await wait_until(lambda: bool(there.heard and programs.heard))
    assert (there.heard, programs.heard) == ([[cancelled]], [[program]])
    assert here.heard == [[cancelled]]


async def test_what_is_told_together_goes_together(database: Database) -> None:
    """As many ids as a notice holds, each id once."""
    async with two_channels(database) as (one, other):
        there = Ear(other, Kind.ENDED)
        ids = [uuid4() for _ in range(2 * IDS_OF_A_NOTICE + 1)]
        for each in [*ids, ids[0]]:
            one.tell(Kind.ENDED, [each])
        await wait_until(lambda: len(there.heard) == 3)
    assert [len(part) for part in there.heard] == [IDS_OF_A_NOTICE, IDS_OF_A_NOTICE, 1]
    assert [one for part in there.heard for one in part] == ids


async def test_a_lost_connection_is_made_again(database: Database, database_url: str) -> None:
    """Everybody catches up then, and messages pass as before."""
    async with two_channels(database) as (one, other):
        here, there = Ear(one, Kind.ENDED), Ear(other, Kind.ENDED)
        killer = await asyncpg.connect(database_url)
        await killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
        await killer.close()
        await wait_until(lambda: here.catches + there.catches == 2)
        told = uuid4()
        one.tell(Kind.ENDED, [told])
        await wait_until(lambda: there.heard == [[told]])


@pytest.mark.parametrize("text", ["", "[]", '{"wat": []}', '{"cancel": 5}', '{"cancel": ["x"]}'])
async def test_a_notice_that_is_not_ours_is_passed_by(
    database: Database, database_url: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the next one is heard."""
    async with two_channels(database) as (one, other):
        there = Ear(other, Kind.CANCEL)
        stranger = await asyncpg.connect(database_url)
        await stranger.execute("SELECT pg_notify($1, $2)", CHANNEL, text)
        await stranger.close()
        told = uuid4()
        one.tell(Kind.CANCEL, [told])
        await wait_until(lambda: there.heard == [[told]])
    assert caplog.messages.count(f"a notice is not understood: {text!r}") == 2


class _Link(NoticeLink):
    """A connection that needs no database, and counts what is sent."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.closed = 0

    @override
    async def listen(self, hear: Callable[[str], None], ended: Callable[[], None]) -> None:
        pass

    @override
    async def send(self, texts: list[str]) -> None:
        self.sent.append(texts)

    @override
    def close(self) -> None:
        self.closed += 1


class _Hung(_Link):
    """A connection on which nothing comes back."""

    @override
    async def send(self, texts: list[str]) -> None:
        await super().send(texts)
        await asyncio.Future()


def connecting(*links: NoticeLink | Exception) -> Callable[[], Awaitable[NoticeLink]]:
    """Make what connects to these one after the other, and never after the last."""
    left = list(links)

    async def connect() -> NoticeLink:
        if not left:
            await asyncio.Future()
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    return connect


async def test_a_silent_channel_is_tried() -> None:
    """Where nothing is told, an empty message now and then shows whether anybody is there."""
    link = _Link()
    channel = ControlChannel(SystemClock(), RANDOM, sign_of_life_s=0.05)
    async with running(channel, connecting(link)):
        await wait_until(lambda: len(link.sent) >= 2)
    assert link.sent[:2] == [[], []]
    assert link.closed == 1


async def test_a_hung_channel_is_given_up() -> None:
    """No answer in time is a lost connection."""
    hung, link = _Hung(), _Link()
    channel = ControlChannel(SystemClock(), RANDOM, sign_of_life_s=0.05)
    async with running(channel, connecting(hung, link)):
        await wait_until(lambda: bool(link.sent))
    assert (len(hung.sent), hung.closed) == (1, 1)


async def test_pauses_grow_while_the_database_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """From a tenth of a second to two, half of each left to chance; what is told is kept."""
    clock, link, told = ManualClock(), _Link(), uuid4()
    channel = ControlChannel(clock, RANDOM)
    channel.tell(Kind.ENDED, [told])
    with caplog.at_level(logging.WARNING):
        async with running(channel, connecting(*[OSError("away")] * 7, link)):
            await wait_until(lambda: bool(link.sent))
    ceiling = FIRST_PAUSE_S
    for pause in clock.slept[:7]:
        assert ceiling / 2 <= pause <= ceiling
        ceiling = min(2 * ceiling, LONGEST_PAUSE_S)
    assert caplog.messages == ["the control channel is down: OSError: away"] * 7
    assert link.sent == [[f'{{"ended":["{told}"]}}']]


async def test_a_bug_is_not_taken_for_an_outage() -> None:
    """It climbs to the one who watches background tasks."""
    async with running(
        ControlChannel(SystemClock(), RANDOM), connecting(RuntimeError("bug"))
    ) as task:
        await asyncio.wait({task})
    assert isinstance(task.exception(), RuntimeError)


async def test_a_channel_that_is_down_keeps_so_much_and_no_more() -> None:
    """Those in the same process hear everything all the same."""
    channel = ControlChannel(SystemClock(), RANDOM)
    here: Any = Ear(channel, Kind.ENDED)
    for _ in range(MOST_WAITING + 5):
        channel.tell(Kind.ENDED, [uuid4()])
    assert len(here.heard) == MOST_WAITING + 5
    link = _Link()
    async with running(channel, connecting(link)):
        await wait_until(lambda: bool(link.sent))
    assert sum(text.count("-") // 4 for text in link.sent[0]) == MOST_WAITING
