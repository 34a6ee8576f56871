"""Records of the past, brought in by COPY."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from app.database import Database
from app.models.executions import WHAT_RUNS
from app.models.ids import first_id
from app.stores.connections import Link

PROGRAM_ID = first_id(1)
DAY_MS = 86_400_000
TEXT_BYTES = 256
"""The length of a question, and of an answer; they do not shrink when they are compressed."""

COLUMNS = (
    *("id", *WHAT_RUNS, "inputs", "outputs", "attempts", "execution_options", "metadata"),
    *("status", "outcome", "duration_ms", "created_at", "started_at", "finished_at"),
)
_OF_PROGRAM = (PROGRAM_ID, "answers", 1, PROGRAM_ID, "answer", 1, "mock")
_ENDED = ("[]", "{}", "{}", "completed", "success", 12.0)


async def an_unhurried_link(database: Database) -> Link:
    """Open a connection whose statements take as long as they take."""
    link = await database.open_connection()
    await link.execute("SET statement_timeout = 0")
    return link


async def copy_history(database: Database, days: int, records: int) -> None:
    """Add completed executions, evenly over so many days up to now."""
    begin = datetime.now(UTC) - timedelta(days=days)
    link = await an_unhurried_link(database)
    try:
        for day in range(days):
            await _copy(database, link, begin + timedelta(days=day), DAY_MS, records // days)
    finally:
        await link.close()


async def copy_now(database: Database, records: int) -> None:
    """Add completed executions of the last minute."""
    link = await an_unhurried_link(database)
    try:
        await _copy(database, link, datetime.now(UTC) - timedelta(minutes=1), 60_000, records)
    finally:
        await link.close()


async def _copy(
    database: Database, link: Link, begin: datetime, span_ms: int, records: int
) -> None:
    start_ms = int(begin.timestamp() * 1_000)
    await database.make_partitions([first_id(start_ms), first_id(start_ms + span_ms)])
    rows = _rows(start_ms, span_ms, records)
    await link.copy_records_to_table("executions", records=rows, columns=COLUMNS)


def _rows(start_ms: int, span_ms: int, records: int) -> Iterator[Sequence[Any]]:
    chance = Random(start_ms)  # noqa: S311 - content
    for number in range(records):
        ms = start_ms + number * span_ms // records
        moment = datetime.fromtimestamp(ms / 1_000, UTC)
        words = chance.randbytes(TEXT_BYTES // 2).hex()
        execution_id = UUID(int=first_id(ms).int + chance.getrandbits(62))
        question, answer = f'{{"question": "{words}"}}', f'{{"answer": "{words[::-1]}"}}'
        times = (moment, moment, moment)
        yield (execution_id, *_OF_PROGRAM, question, answer, *_ENDED, *times)
