"""Do once what a client asks for under an idempotency key, however often it asks."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.database import Database
from app.errors import IdempotencyKeyReusedError
from app.models import IdempotencyKey
from app.models.idempotency_keys import Claim
from app.stores.idempotency_keys import KeyChangedError

T = TypeVar("T")


class Idempotency:
    """Knows which requests have been accepted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def once(
        self,
        claim: Claim,
        do: Callable[[], Awaitable[T]],
        replay: Callable[[IdempotencyKey], Awaitable[T]],
    ) -> T:
        """Do it, where it was not accepted before; otherwise answer again what came of it.

        `do` claims the key in the transaction of what it makes, and `replay` may give the key
        back; both raise KeyChangedError where another request was quicker. Raises
        IdempotencyKeyReusedError, and what the two raise.
        """
        while True:
            kept = await self._find(claim)
            try:
                return await (do() if kept is None else replay(kept))
            except KeyChangedError:
                continue

    async def _find(self, claim: Claim) -> IdempotencyKey | None:
        async with self._database.transaction() as tx:
            kept = await tx.idempotency_keys.find(claim)
        if kept is not None and kept.request != claim.request:
            raise IdempotencyKeyReusedError("This key was used for another request.")
        return kept
