import re
from uuid import UUID

import pytest
from sqlalchemy import TextClause, text

from app.database import Database
from app.models.ids import made_at
from app.models.weeks import Week
from app.settings import RetentionSettings
from app.stores.expired_executions import _COUNT, _EXPIRED
from tests.stores.rows import IDS


@pytest.mark.parametrize("statement", [_COUNT, _EXPIRED.listing, _EXPIRED.removal])
async def test_a_statement_looks_into_its_week_alone(
    database: Database, statement: TextClause
) -> None:
    """However many weeks there are."""
    week = Week.of(made_at(IDS.new()))
    low, high = week.bounds
    async with database.transaction() as tx:
        expiry = await tx.retention.find_expiry(RetentionSettings())
        assert expiry is not None
        last = UUID(int=high.int - 1)
        bound = {**expiry.bound, "low": low, "high": last, "ids": [low, last]}
        plan = await tx.processes._session.scalars(text(f"EXPLAIN {statement.text}"), bound)
    assert set(re.findall(r"executions_\d{4}w\d\d\b", "\n".join(plan))) == {week.partition}
