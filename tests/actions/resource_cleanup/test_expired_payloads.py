"""What was asked and said goes before its record; the record stays, and says so."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.actions.resource_cleanup.archive import Archive
from app.actions.resource_cleanup.category import CategoryName, Tools
from app.api.executions import execution_document
from app.database import Database
from app.models.ids import item_id, made_at
from app.models.states import ExecutionStatus
from app.models.weeks import Week
from app.settings import RetentionSettings
from app.stores.expired_weeks import MARK
from tests.actions.resource_cleanup import mess
from tests.actions.resource_cleanup.conftest import cleaned, keeping

PAYLOADS = CategoryName.EXPIRED_PAYLOADS

CONTENT = """
UPDATE executions SET outputs = '{"answer": "Paris"}', raw_output = '"Paris"', trace = '[{}]',
    details = '{"reasoning": "Seine"}', metadata = '{"tenant": "a"}', usage = '{"lm_calls": 1}',
    error = '{"type": "refused"}'
"""
LATELY = "UPDATE batches SET finished_at = now() - interval '6 days' WHERE id = :id"
OLD_ITEMS = """
UPDATE executions SET finished_at = now() - interval '60 days'
WHERE batch_id IS NOT NULL AND finished_at IS NOT NULL
"""
LOST = {"inputs", "outputs", "raw_output", "trace", "details"}


@pytest.fixture
def tools(tools: Tools) -> Tools:
    """Tools that keep records for ever, and their payloads for a week."""
    days = RetentionSettings(completed_days=0, failed_days=0, cancelled_days=0, payload_days=7)
    return keeping(tools, days)


async def fill(database: Database) -> None:
    """Give all records content."""
    async with database.transaction() as tx:
        await tx.processes._session.execute(text(CONTENT))


async def read(database: Database, execution_id: UUID) -> dict[str, Any]:
    """Read a record as a client sees it, with its trace."""
    async with database.transaction() as tx:
        row = await tx.executions.get(execution_id, with_trace=True)
        return execution_document(row, ())


async def test_content_goes_and_the_rest_stays(database: Database, tools: Tools) -> None:
    """What was asked and said is null, and the details say why; a second run finds nothing."""
    async with database.transaction() as tx:
        old = await mess.a_record(tx, 60, ExecutionStatus.FAILED)
    await fill(database)
    before = await read(database, old)
    assert (await cleaned(tools, PAYLOADS, dry_run=True)).summary.found == 1
    summary = (await cleaned(tools, PAYLOADS)).summary
    assert (summary.removed, summary.kept, summary.errors) == (1, 0, 0)
    assert summary.bytes_freed > 0
    lost = {**dict.fromkeys(LOST), "details": {"payload_expired": True}}
    assert await read(database, old) == {**before, **lost}
    assert (await cleaned(tools, PAYLOADS)).summary.found == 0


async def test_what_is_live_or_young_keeps_its_payload(database: Database, tools: Tools) -> None:
    """So do all items of a batch until it ended so long ago: it may be retried."""
    async with database.transaction() as tx:
        ended = await mess.an_ended_batch(tx, 60)
        live = await mess.a_live_batch(tx, 60)
        lately = await mess.an_ended_batch(tx, 60)
        await tx.processes._session.execute(text(LATELY), {"id": lately})
        await tx.processes._session.execute(text(OLD_ITEMS))
        kept = [
            await mess.a_record(tx, 60, None),
            await mess.a_record(tx, 60, finished=6),
            item_id(live, 0),
            item_id(lately, 0),
        ]
    await fill(database)
    before = [await read(database, one) for one in kept]
    assert (await cleaned(tools, PAYLOADS)).summary.removed == 3
    assert [await read(database, one) for one in kept] == before
    items = [await read(database, item_id(ended, place)) for place in range(3)]
    assert [item["inputs"] for item in items] == [None] * 3


async def test_a_bare_week_is_not_looked_into_again(database: Database, tools: Tools) -> None:
    """A week with a live record is, until that has ended and lost its own."""
    async with database.transaction() as tx:
        old = await mess.a_record(tx, 60)
        live = await mess.a_record(tx, 90, None)
    await cleaned(tools, PAYLOADS)
    async with database.transaction() as tx:
        weeks = await tx.expired_payloads.list_weeks(7)
    assert Week.of(made_at(old)) not in weeks
    assert Week.of(made_at(live)) in weeks


async def test_a_week_is_not_marked_while_somebody_works_on_its_table(
    database: Database, tools: Tools
) -> None:
    """Its payloads go all the same, and the next run marks it."""
    async with database.transaction() as tx:
        week = Week.of(made_at(await mess.a_record(tx, 60)))
    async with database.transaction() as tx:
        await tx.processes._session.execute(
            text(f"LOCK TABLE {week.partition} IN SHARE UPDATE EXCLUSIVE MODE")
        )
        summary = (await cleaned(tools, PAYLOADS)).summary
        assert (summary.removed, summary.errors) == (1, 0)
    async with database.transaction() as tx:
        assert week in await tx.expired_payloads.list_weeks(7)
    await cleaned(tools, PAYLOADS)
    async with database.transaction() as tx:
        assert week not in await tx.expired_payloads.list_weeks(7)


async def test_the_mark_of_a_week_that_is_to_be_dropped_stays(database: Database) -> None:
    """Whoever drops it knows it by that."""
    async with database.transaction() as tx:
        week = Week.of(made_at(await mess.a_record(tx, 60)))
        comment = text(f"COMMENT ON TABLE {week.partition} IS '{MARK}'")
        await tx.processes._session.execute(comment)
    async with database.transaction() as tx:
        await tx.expired_weeks.mark_bare(week)
    async with database.transaction() as tx:
        marked = [one.name for one in await tx.expired_weeks.list_partitions() if one.is_marked]
    assert week.partition in marked


async def test_a_week_that_goes_whole_is_left_to_that(database: Database, tools: Tools) -> None:
    """What is found here does not depend on what goes before."""
    async with database.transaction() as tx:
        await mess.a_record(tx, 60)
    days = RetentionSettings(payload_days=7)
    assert (await cleaned(keeping(tools, days), PAYLOADS, dry_run=True)).summary.found == 0


async def test_payloads_stay_unless_days_are_given(database: Database, tools: Tools) -> None:
    """As long as their records do."""
    async with database.transaction() as tx:
        await mess.a_record(tx, 60)
    for_ever = tools.settings.retention.model_copy(update={"payload_days": 0})
    assert (await cleaned(keeping(tools, for_ever), PAYLOADS)).summary.found == 0


async def test_the_archive_has_them_first(database: Database, tools: Tools, tmp_path: Path) -> None:
    """The whole record is in it, as it was."""
    async with database.transaction() as tx:
        await mess.a_record(tx, 60)
    await fill(database)
    await cleaned(replace(tools, archive=Archive(tmp_path, "run", database)), PAYLOADS)
    (line,) = (tmp_path / "executions-run.jsonl").read_text().splitlines()
    assert json.loads(line)["outputs"] == {"answer": "Paris"}
