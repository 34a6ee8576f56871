import asyncio

import pytest

from app.database import Database
from tests.support.wait import wait_until


async def test_notices_reach_the_others_and_not_their_sender(database: Database) -> None:
    """Each text once, in order; who sent them knows already."""
    sender, other = await database.open_notices(), await database.open_notices()
    own: list[str] = []
    heard: list[str] = []
    await sender.listen(own.append, lambda: None)
    await other.listen(heard.append, lambda: None)
    await sender.send(["a", "b"])
    await sender.send([])
    await wait_until(lambda: heard == ["a", "b"])
    assert own == []
    sender.close()
    other.close()


async def test_the_end_of_a_connection_is_told(database: Database) -> None:
    """Who waits for something to send wakes up, and finds that he cannot."""
    link = await database.open_notices()
    ended = asyncio.Event()
    await link.listen(lambda _: None, ended.set)
    link.close()
    await ended.wait()
    with pytest.raises(Exception, match="closed"):
        await link.send(["a"])
