"""What the tests of the recorder share: recorders that tell what they do, and hindrances."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from app.database import Database
from app.models import Execution
from app.models.idempotency_keys import Claim
from app.settings import DatabaseSettings
from app.stores.recorder import Recorder
from app.stores.recorder.writes import End
from tests.stores.rows import a_beginning, an_ending
from tests.support.factories import a_recorder
from tests.support.holds import records_held
from tests.support.proxy import Proxy, proxied
from tests.support.wait import written

LEFT = End(an_ending("cancelled", outcome="cancelled"))  # type: ignore[arg-type]
PATIENCE_S = 20.0


def a_row(**values: Any) -> dict[str, Any]:
    """Make what `begin` writes."""
    return {**a_beginning(), "metadata": {}, **values}


class Recording:
    """A recorder on a database, with the statements that it made and the ends it told of."""

    def __init__(self, database: Database) -> None:
        self.statements: list[str] = []
        self.connects = 0
        self.ended: list[UUID] = []
        self.database = database
        self.recorder: Recorder = a_recorder(database, step=self._step, ended=self._hear)

    def _step(self, what: str) -> None:
        if what == "connect":
            self.connects += 1
        elif "executions" in what:  # and no question of the driver's own
            self.statements.append(what)

    def _hear(self, ids: Sequence[UUID]) -> None:
        self.ended.extend(ids)

    async def begin(
        self, within_s: float = PATIENCE_S, claim: Claim | None = None, **values: Any
    ) -> UUID:
        """Begin a record; give its id."""
        row = a_row(**values)
        await self.recorder.begin(row, LEFT, within_s, claim)
        execution_id: UUID = row["id"]
        return execution_id

    async def finish(
        self, execution_id: UUID, within_s: float = PATIENCE_S, **values: Any
    ) -> object:
        """End a record; give when, or None."""
        return await self.recorder.finish(execution_id, End(an_ending(**values)), within_s)

    async def record(self, execution_id: UUID) -> Execution:
        """Read a record."""
        async with self.database.transaction() as tx:
            return await tx.executions.get(execution_id)

    async def counted(self) -> int:
        """Sum up what is counted and not folded."""
        link = await self.database.open_connection()
        return int(await link.fetchval("SELECT coalesce(sum(ended), 0) FROM execution_counts"))


@pytest.fixture
def recording(database: Database) -> Recording:
    """Give a recorder on the test's database."""
    return Recording(database)


@pytest.fixture
async def behind(
    database: Database,  # noqa: ARG001 - emptied after us
    database_url: str,
) -> AsyncIterator[tuple[Proxy, Recording]]:
    """Give a recorder that reaches the test's database through a proxy."""
    with tempfile.TemporaryDirectory(prefix="proxy-") as folder:
        async with proxied(database_url, Path(folder)) as (proxy, url):
            through = Database.connect(DatabaseSettings(url=SecretStr(url)))
            yield proxy, Recording(through)
            await written()
            await through.close()


@pytest.fixture
def held(database_url: str) -> Callable[[], Any]:
    """Give the way to hold the test's records."""
    return lambda: records_held(database_url)


async def failures_of(*work: Any) -> list[BaseException | None]:
    """Await all, and give how each failed."""
    ends = await asyncio.gather(*work, return_exceptions=True)
    await written()
    return [end if isinstance(end, BaseException) else None for end in ends]
