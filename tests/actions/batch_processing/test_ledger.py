"""Ends are written in order and in groups, and nobody goes far ahead of them."""

import asyncio
from collections.abc import Sequence

import pytest

from app.actions.batch_processing.ledger import Ledger, Row


class Writing:
    """Writes when the gate is open; keeps what each write had."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.gate = asyncio.Event()
        self.groups: list[list[int]] = []
        self._failure = failure

    async def write(self, rows: Sequence[Row]) -> None:
        """Write a group, or fail as told."""
        await self.gate.wait()
        if self._failure:
            raise self._failure
        self.groups.append([row["n"] for row in rows])


def fill(ledger: Ledger, count: int) -> None:
    """Add numbered rows."""
    for number in range(count):
        ledger.add({"n": number})


async def test_what_comes_during_a_write_goes_together() -> None:
    """In the order in which it came, in groups that are not too large."""
    writing = Writing()
    ledger = Ledger(writing.write, 3)
    fill(ledger, 8)
    await asyncio.sleep(0)
    writing.gate.set()
    await ledger.settled()
    assert writing.groups == [[0, 1, 2], [3, 4, 5], [6, 7]]
    ledger.add({"n": 8})
    await ledger.settled()
    assert writing.groups[3:] == [[8]]


async def test_there_is_room_while_less_than_a_group_waits() -> None:
    """Who comes when there is none waits until some is written."""
    writing = Writing()
    ledger = Ledger(writing.write, 2)
    await ledger.room()
    fill(ledger, 1)
    await ledger.room()
    fill(ledger, 4)
    waiting = asyncio.create_task(ledger.room())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    writing.gate.set()
    await waiting
    await ledger.settled()


async def test_a_write_that_fails_is_the_last() -> None:
    """Everybody who asks is told; what is added later is not written."""
    writing = Writing(ValueError("no"))
    ledger = Ledger(writing.write, 2)
    fill(ledger, 5)
    waiting = [asyncio.create_task(work()) for work in (ledger.room, ledger.settled)]
    writing.gate.set()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(end) for end in ends] == ["no", "no"]
    fill(ledger, 1)
    with pytest.raises(ValueError, match="no"):
        await ledger.settled()
    await ledger.close()


async def test_closing_ends_a_write_that_is_under_way() -> None:
    """It is not waited for."""
    writing = Writing()
    ledger = Ledger(writing.write, 2)
    fill(ledger, 1)
    await asyncio.sleep(0)
    await ledger.close()
    assert writing.groups == []
