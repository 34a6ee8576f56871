"""The control channel: what processes tell each other at once, and what they do when it fails."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from enum import StrEnum
from random import Random
from typing import NamedTuple
from uuid import UUID

from app.policies.clock import Clock
from app.stores.availability import is_away
from app.stores.notices import NoticeLink

logger = logging.getLogger(__name__)

TOGETHER_S = 0.02
"""What is told within this time goes together."""

IDS_OF_A_NOTICE = 180
"""An id takes 39 bytes of at most 7 999."""

MOST_WAITING = 10_000
"""Ids over this number are not kept for a channel that is down: polling finds what they mean."""

SIGN_OF_LIFE_S = 5.0
"""How often a channel on which nothing is told is tried, and how long an answer may take."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0


class Kind(StrEnum):
    """What is told; each message is a list of ids."""

    CANCEL = "cancel"
    """Executions whose records somebody has ended: who runs them stops."""
    ENDED = "ended"
    """Executions that have ended: who waits for them looks."""
    PROGRAMS = "programs"
    """Programs that have changed: who remembers them forgets."""


class Subscriber(NamedTuple):
    """Who hears of ids, and looks for himself where messages may have been lost."""

    hear: Callable[[Collection[UUID]], None]
    catch_up: Callable[[], None]


class ControlChannel:
    """Tells the other processes, and this one at once; a connection that is lost is made again.

    A message is told at most once. Whoever must not miss one polls besides; after a loss every
    subscriber catches up.
    """

    def __init__(
        self, clock: Clock, random: Random, sign_of_life_s: float = SIGN_OF_LIFE_S
    ) -> None:
        self._clock = clock
        self._random = random
        self._sign_of_life_s = sign_of_life_s
        self._subscribers: dict[Kind, list[Subscriber]] = {kind: [] for kind in Kind}
        self._waiting: dict[tuple[Kind, UUID], None] = {}
        self._wake = asyncio.Event()
        self._pause_s = FIRST_PAUSE_S

    def subscribe(
        self,
        kind: Kind,
        hear: Callable[[Collection[UUID]], None],
        catch_up: Callable[[], None],
    ) -> None:
        """Have ids of a kind heard, and `catch_up` called whenever some may have been lost."""
        self._subscribers[kind].append(Subscriber(hear, catch_up))

    def tell(self, kind: Kind, ids: Collection[UUID]) -> None:
        """Tell this process now, and the others soon."""
        self._pass_on(kind, ids)
        if len(self._waiting) < MOST_WAITING:
            self._waiting.update(((kind, one), None) for one in ids)
            self._wake.set()

    async def run(self, connect: Callable[[], Awaitable[NoticeLink]]) -> None:
        """Listen and send for ever."""
        while True:
            try:
                link = await connect()
                try:
                    await self._serve(link)
                finally:
                    link.close()
            except Exception as error:
                if not is_away(error):
                    raise
                logger.warning("the control channel is down: %s: %s", type(error).__name__, error)
            await self._clock.sleep(self._random.uniform(self._pause_s / 2, self._pause_s))
            self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    async def _serve(self, link: NoticeLink) -> None:
        """Send what is told until the connection is lost, which raises."""
        await link.listen(self._hear, self._wake.set)
        self._pause_s = FIRST_PAUSE_S
        for subscribers in self._subscribers.values():
            for subscriber in subscribers:
                subscriber.catch_up()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._sign_of_life_s):
                    await self._wake.wait()
                    await self._clock.sleep(TOGETHER_S)
            self._wake.clear()
            waiting, self._waiting = self._waiting, {}
            async with asyncio.timeout(self._sign_of_life_s):
                await link.send(_messages(list(waiting)))

    def _hear(self, text: str) -> None:
        try:
            message = {
                Kind(kind): [UUID(one) for one in ids] for kind, ids in json.loads(text).items()
            }
        except (ValueError, TypeError, AttributeError):  # another version's, or a stranger's
            logger.warning("a notice is not understood: %.100r", text)
            return
        for kind, ids in message.items():
            self._pass_on(kind, ids)

    def _pass_on(self, kind: Kind, ids: Collection[UUID]) -> None:
        for subscriber in self._subscribers[kind]:
            subscriber.hear(ids)


def _messages(waiting: list[tuple[Kind, UUID]]) -> list[str]:
    return [
        _message(waiting[start : start + IDS_OF_A_NOTICE])
        for start in range(0, len(waiting), IDS_OF_A_NOTICE)
    ]


def _message(some: Iterable[tuple[Kind, UUID]]) -> str:
    """Write `{"ended": ["…", "…"], "cancel": ["…"]}`."""
    by_kind: dict[str, list[str]] = {}
    for kind, one in some:
        by_kind.setdefault(kind, []).append(str(one))
    return json.dumps(by_kind, separators=(",", ":"))
