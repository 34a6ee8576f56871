import re
from uuid import UUID

import pytest
from sqlalchemy import TextClause, text

from app.database import Database
from app.models.ids import made_at
from app.models.weeks import Week
from app.stores.expired_payloads import _COUNT, _IS_BARE, _PAYLOADS
from tests.stores.rows import IDS


@pytest.mark.parametrize("statement", [_COUNT, _PAYLOADS.listing, _PAYLOADS.removal, _IS_BARE])
async def test_a_statement_looks_into_its_week_alone(
    database: Database, statement: TextClause
) -> None:
    """However many weeks there are."""
    week = Week.of(made_at(IDS.new()))
    low, high = week.bounds
    last = UUID(int=high.int - 1)
    bound = {"low": low, "high": last, "ids": [low, last], "days": 7, "details": "{}"}
    async with database.transaction() as tx:
        plan = await tx.processes._session.scalars(
            text(f"EXPLAIN {statement.text}"), {**bound, "end": week.end}
        )
    assert set(re.findall(r"executions_\d{4}w\d\d\b", "\n".join(plan))) == {week.partition}
