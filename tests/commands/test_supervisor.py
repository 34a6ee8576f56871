"""The parent of several servers, with processes that only stand for servers."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from random import Random

import pytest
import typer

from app.background import Background
from app.commands.server_keeper import ServerKeeper
from app.commands.supervisor import supervise
from app.policies.clock import SystemClock
from app.policies.drain import Drain, Stage
from tests.support.servers import refuse, serve, serve_on
from tests.support.wait import wait_until

LONG_S = 60.0


class House:
    """Two servers, and what a parent has to supervise them."""

    def __init__(self, run: Callable[[Connection], None], listener: socket.socket) -> None:
        self.cleared: list[str] = []
        self.announced: list[str] = []
        self.drain = Drain()
        self.listener = listener
        self.keepers = [ServerKeeper(run, lambda: self.cleared.append("one")) for _ in range(2)]

    async def supervise(self, ending_s: float = LONG_S) -> None:
        """Do as the command does."""
        background = Background(SystemClock(), Random(1))  # noqa: S311 - a test's
        await supervise(
            self.keepers, self.listener, self.drain, background, self._announce, ending_s
        )

    def _announce(self) -> None:
        self.announced.append("serves")

    @property
    def pids(self) -> list[int | None]:
        """The processes of the servers, None where none serves."""
        return [
            keeper._process.pid if keeper._process is not None and keeper._is_up else None
            for keeper in self.keepers
        ]

    async def until_up(self, *without: int | None) -> list[int | None]:
        """Wait until all serve, as other processes than these."""
        await wait_until(lambda: not {None, *without} & set(self.pids), LONG_S)
        return self.pids


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Give a socket that listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


async def test_who_dies_is_replaced_until_the_end_begins(listener: socket.socket) -> None:
    """By itself; then the socket is closed here, and all are told to end."""
    house = House(serve, listener)
    supervising = asyncio.create_task(house.supervise())
    first, second = await house.until_up()
    assert first is not None
    os.kill(first, signal.SIGKILL)
    replaced = await house.until_up(first)
    assert replaced[1] == second
    assert house.announced == ["serves"]
    house.drain.go_to(Stage.DRAINING)
    await supervising
    assert house.pids == [None, None]
    assert len(house.cleared) == 3
    assert listener.fileno() == -1


async def test_what_refuses_the_first_refuses_all(listener: socket.socket) -> None:
    """Nothing else is started, and its code is the command's."""
    house = House(refuse, listener)
    with pytest.raises(typer.Exit) as refused:
        await house.supervise()
    assert refused.value.exit_code == 2
    assert (house.announced, house.cleared) == ([], ["one"])


async def test_an_end_that_comes_before_anything_is_served_is_no_refusal(
    listener: socket.socket,
) -> None:
    """The first process has ended because it was told to."""
    house = House(serve, listener)
    house.drain.go_to(Stage.HURRYING)
    await house.supervise()
    assert house.announced in ([], ["serves"])
    assert house.pids == [None, None]


@pytest.mark.parametrize("stage", [Stage.DRAINING, Stage.CLOSING])
async def test_who_does_not_end_in_time_is_killed(listener: socket.socket, stage: Stage) -> None:
    """Whichever signals it has been sent."""
    house = House(serve_on, listener)
    supervising = asyncio.create_task(house.supervise(ending_s=0.1))
    await house.until_up()
    house.drain.go_to(stage)
    house.drain.go_to(Stage.HURRYING)
    await supervising
    assert house.pids == [None, None]
