"""Whose keys callers have: found in the database, and remembered for seconds."""

import asyncio
import hmac
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from app.database import Database
from app.errors import DatabaseUnavailableError
from app.models import ApiKey
from app.models.key_text import KeyText
from app.models.scopes import Scope
from app.policies.clock import Clock
from app.stores.availability import RETRY_AFTER_S

REMEMBERED_S = 5.0
"""As long may a key that has been revoked still be taken."""

MOST_REFUSED = 10_000
"""As many keys that are nobody's are remembered; the oldest is forgotten for the next."""

_NOBODYS_HASH = bytes(32)


@dataclass(frozen=True)
class Caller:
    """Who calls; without keys that is anybody, who has no id and may do everything."""

    key_id: str | None
    scopes: frozenset[Scope]


ANYBODY = Caller(None, frozenset(Scope))


@dataclass(frozen=True)
class _Known:
    """What the database said of a key; it may be remembered until `until_s` of the clock."""

    caller: Caller
    secret_hash: bytes
    is_live: bool
    until_s: float


class Keyring:
    """Tells whose a key is.

    What it remembers is found by SHA-256 of the whole key: a wrong secret costs a look-up as an
    unknown id does, and no key stays in memory. Look-ups that come while one is under way go
    together in the next, so that callers hold one connection at most, however many they are; they
    wait for it up to `patience_s`.
    """

    def __init__(self, database: Database, clock: Clock, patience_s: float) -> None:
        self._database = database
        self._clock = clock
        self._patience_s = patience_s
        self._accepted: dict[bytes, tuple[Caller, float]] = {}
        self._refused: dict[bytes, float] = {}
        self._turn = asyncio.Lock()
        self._gathering: tuple[set[str], asyncio.Task[Mapping[str, _Known]]] | None = None
        self._used_s: dict[str, float] = {}

    async def find(self, text: str) -> Caller | None:
        """Tell whose key this is; None where it is malformed, unknown, expired or revoked.

        Raises DatabaseUnavailableError.
        """
        digest, now_s = sha256(text.encode()).digest(), self._clock.monotonic()
        caller, until_s = self._accepted.get(digest, (None, -math.inf))
        if until_s <= now_s:
            caller = await self._judge(digest, text)
        if caller is not None and caller.key_id is not None:
            self._used_s[caller.key_id] = now_s
        return caller

    async def _judge(self, digest: bytes, text: str) -> Caller | None:
        key = KeyText.parse(text)
        if key is None or self._refused.get(digest, -math.inf) > self._clock.monotonic():
            return None
        known = (await asyncio.shield(self._look_up(key.key_id))).get(key.key_id)
        # Compared in any case: an unknown id shall not be told by its time.
        is_right = hmac.compare_digest(
            key.secret_hash, _NOBODYS_HASH if known is None else known.secret_hash
        )
        if known is not None and is_right and known.is_live:
            self._accepted[digest] = known.caller, known.until_s
            return known.caller
        self._refuse(digest)
        return None

    def _refuse(self, digest: bytes) -> None:
        self._accepted.pop(digest, None)
        self._refused.pop(digest, None)  # or it would keep its old place in the order
        if len(self._refused) >= MOST_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._refused[digest] = self._clock.monotonic() + REMEMBERED_S

    def _look_up(self, key_id: str) -> asyncio.Task[Mapping[str, _Known]]:
        """Put an id into the group that is looked up next; all its callers share the task."""
        if self._gathering is None:
            key_ids: set[str] = set()
            task = asyncio.create_task(self._read(key_ids), name="look up keys")
            self._gathering = key_ids, task
        key_ids, task = self._gathering
        key_ids.add(key_id)
        return task

    async def _read(self, key_ids: set[str]) -> Mapping[str, _Known]:
        async with self._own_turn():
            asked_s = self._clock.monotonic()
            async with self._database.transaction() as tx:
                rows = await tx.api_keys.find_all(key_ids)
        return {row.id: _known(row, now, asked_s) for row, now in rows}

    @asynccontextmanager
    async def _own_turn(self) -> AsyncIterator[None]:
        """Wait for the look-up that is under way, and let the next group gather."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._turn.acquire()
        except TimeoutError:
            raise DatabaseUnavailableError(
                "The database did not say in time whose key this is.", retry_after_s=RETRY_AFTER_S
            ) from None
        finally:
            self._gathering = None
        try:
            yield
        finally:
            self._turn.release()

    async def write_uses(self) -> None:
        """Write when keys were used last; DatabaseUnavailableError leaves it for the next time."""
        used_s, now_s = dict(self._used_s), self._clock.monotonic()
        if not used_s:
            return
        ages = {key_id: timedelta(seconds=now_s - at_s) for key_id, at_s in used_s.items()}
        async with self._database.transaction() as tx:
            await tx.api_keys.mark_used(ages)
        for key_id, at_s in used_s.items():
            if self._used_s[key_id] == at_s:
                del self._used_s[key_id]

    async def close(self) -> None:
        """Write the last uses; where the database is away or hangs, they are lost."""
        with suppress(DatabaseUnavailableError, TimeoutError):  # it has been logged
            async with asyncio.timeout(self._patience_s):
                await self.write_uses()


def _known(row: ApiKey, now: datetime, asked_s: float) -> _Known:
    caller = Caller(row.id, frozenset(map(Scope, row.scopes)))
    lives_s = _lives_s(row, now)
    return _Known(caller, row.secret_hash, lives_s > 0, asked_s + min(REMEMBERED_S, lives_s))


def _lives_s(row: ApiKey, now: datetime) -> float:
    """Tell how long a key still lives, on the database's clock."""
    if row.revoked_at is not None:
        return 0.0
    return math.inf if row.expires_at is None else (row.expires_at - now).total_seconds()
