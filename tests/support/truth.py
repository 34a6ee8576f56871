"""What must be true after every scenario: rows, figures and what clients heard, joined."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg
import httpx

from tests.support.load import Call
from tests.support.wait import wait_until_so

_ROWS = """
SELECT id::text, status, error ->> 'type' AS error_type, finished_at, metadata,
    (usage ->> 'lm_calls')::int AS lm_calls
FROM executions WHERE program_id = $1::text::uuid
"""
_FINAL = """
CREATE OR REPLACE FUNCTION ends_twice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE 'execution % has ended', OLD.id; END $$;
CREATE OR REPLACE TRIGGER ends_twice BEFORE UPDATE ON executions FOR EACH ROW
WHEN (OLD.finished_at IS NOT NULL) EXECUTE FUNCTION ends_twice();
"""
_RUNNING = "SELECT count(*) FROM executions WHERE status IN ('pending', 'running')"


async def asked(url: str, query: str, *arguments: Any) -> Any:
    """Ask the database for one value, beside every server."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


async def forbid_second_ends(url: str) -> None:
    """Have the database refuse every change of a record that has ended."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_FINAL)
    finally:
        await connection.close()


async def until_at_rest(url: str, within_s: float = 60) -> None:
    """Wait until every execution has ended."""

    async def is_at_rest() -> bool:
        return bool(await asked(url, _RUNNING) == 0)

    await wait_until_so(is_at_rest, within_s)


async def require_truth(
    url: str, client: httpx.AsyncClient, program_id: str, calls: Iterable[Call]
) -> Mapping[str, Mapping[str, Any]]:
    """Require what holds at rest, whatever went wrong before; give the program's rows by id.

    Every row has ended. What clients were told stands in the rows, each success once. The figures
    are those of the rows, to the unit.
    """
    connection = await asyncpg.connect(url)
    try:
        rows = {row["id"]: dict(row) for row in await connection.fetch(_ROWS, program_id)}
    finally:
        await connection.close()
    assert all(row["finished_at"] is not None for row in rows.values())
    for call in calls:
        if call.execution_id is not None:
            assert call.execution_id in rows, f"told and not recorded: {call}"
            status = rows[call.execution_id]["status"]
            assert (call.status == 200) <= (status == "completed"), f"recorded {status}: {call}"
    answer = await client.get(f"/v1/programs/{program_id}/statistics")
    figures = answer.raise_for_status().json()
    by_status = Counter(row["status"] for row in rows.values())
    assert figures["execution_count"] == len(rows)
    assert {name: n for name, n in figures["by_status"].items() if n} == by_status
    assert figures["by_error"] == Counter(
        row["error_type"] for row in rows.values() if row["error_type"]
    )
    assert figures["usage"]["lm_calls"] == sum(row["lm_calls"] or 0 for row in rows.values())
    return rows


async def counted(client: httpx.AsyncClient) -> float:
    """Give how many executions a server has counted in its metrics."""
    lines = (await client.get("/metrics")).text.splitlines()
    ended = (line for line in lines if line.startswith("dspatch_executions_total{"))
    return sum(float(line.rpartition(" ")[2]) for line in ended)
