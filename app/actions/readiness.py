"""Whether the database can be used now, answered quickly even where it hangs."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass

from app.database import Database, SchemaError
from app.errors import DatabaseUnavailableError
from app.policies.clock import Clock

_SILENT = {"database": "no answer yet"}


@dataclass(frozen=True)
class Patience:
    """How long, in seconds, an answer is waited for, the last one is good, a look may take."""

    answer_s: float = 0.8
    last_s: float = 3.0
    look_s: float = 5.0


class Readiness:
    """Looks at the database and its schema; many who ask at once share one look.

    On a busy machine a look may take its time: what the last one found is good for a while.
    """

    def __init__(self, database: Database, clock: Clock, patience: Patience | None = None) -> None:
        self._database = database
        self._clock = clock
        self._patience = patience or Patience()
        self._looking: asyncio.Task[None] | None = None
        self._last: Mapping[str, str] = _SILENT
        self._last_at = -math.inf

    async def __call__(self) -> Mapping[str, str]:
        """Give what was found, `ok` or what is wrong, by the name of the check."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="look at the database")
        await asyncio.wait({self._looking}, timeout=self._patience.answer_s)
        is_good = self._clock.monotonic() - self._last_at <= self._patience.last_s
        return self._last if is_good else _SILENT

    async def _look(self) -> None:
        """Keep what is found, also where nobody waits for it any more."""
        self._last, self._last_at = await self._found(), self._clock.monotonic()

    async def _found(self) -> Mapping[str, str]:
        try:
            async with asyncio.timeout(self._patience.look_s):
                await self._database.require_head()
        except TimeoutError:
            return _SILENT
        except DatabaseUnavailableError as error:
            return {"database": error.detail}
        except SchemaError as error:
            return {"database": "ok", "schema": str(error)}
        return {"database": "ok", "schema": "ok"}
