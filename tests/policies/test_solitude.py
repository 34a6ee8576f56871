import asyncio
from contextlib import AbstractAsyncContextManager

from app.policies.solitude import Solitude
from tests.support.wait import wait_until


class Visit:
    """A stay at the place, until it is told to end."""

    def __init__(self, way: AbstractAsyncContextManager[None]) -> None:
        self.is_in = False
        self._way = way
        self._end = asyncio.Event()
        self._task = asyncio.create_task(self._stay())

    async def _stay(self) -> None:
        async with self._way:
            self.is_in = True
            await self._end.wait()
        self.is_in = False

    async def leave(self) -> None:
        """End the stay."""
        self._end.set()
        await self._task

    async def is_kept_out(self) -> bool:
        """Tell whether it has not begun, although everybody had his turn."""
        for _ in range(10):
            await asyncio.sleep(0)
        return not self.is_in


async def test_many_work_beside_each_other() -> None:
    """Nobody waits for anybody."""
    place = Solitude()
    assert place.is_empty
    visits = [Visit(place.beside()) for _ in range(3)]
    await wait_until(lambda: all(visit.is_in for visit in visits))
    assert not place.is_empty
    for visit in visits:
        await visit.leave()
    assert place.is_empty


async def test_one_is_alone_once_the_others_have_left() -> None:
    """Whoever comes meanwhile waits until he has left."""
    place = Solitude()
    first, second = Visit(place.beside()), Visit(place.beside())
    await wait_until(lambda: first.is_in and second.is_in)
    alone = Visit(place.alone())
    assert await alone.is_kept_out()
    late = Visit(place.beside())
    await first.leave()
    assert await alone.is_kept_out()
    await second.leave()
    await wait_until(lambda: alone.is_in)
    assert await late.is_kept_out()
    await alone.leave()
    await wait_until(lambda: late.is_in)
    await late.leave()


async def test_two_are_alone_one_after_the_other() -> None:
    """And nobody else comes in between, where both wait."""
    place = Solitude()
    first, second = Visit(place.alone()), Visit(place.alone())
    await wait_until(lambda: first.is_in)
    assert await second.is_kept_out()
    assert not place.is_empty
    await first.leave()
    await wait_until(lambda: second.is_in)
    await second.leave()
    assert place.is_empty
