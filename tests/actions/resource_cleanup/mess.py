"""Something for every category to find, and beside it what it must leave alone."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, insert, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Batch, BatchLane, Execution, IdempotencyKey, Program, WebhookDelivery
from app.models.ids import Ids, item_id
from app.models.states import DeliveryStatus, ExecutionStatus, ProgramStatus
from app.stores.batch_items import NewItem, row_of
from app.stores.transaction import Transaction
from tests.stores.rows import (
    IDS,
    a_batch,
    a_process,
    a_program,
    a_running_batch,
    an_ending,
    an_execution,
    of_items,
)
from tests.stores.test_webhook_deliveries import a_delivery
from tests.support.clock import ManualClock


async def orphans(tx: Transaction) -> dict[str, UUID]:
    """Add running executions: of the dead, the silent, the living and nobody; and one item."""
    dead, silent = await a_process(tx, ended_s=0), await a_process(tx, silent_s=99)
    return {
        "dead": await an_execution(tx, owner_id=dead),
        "unknown": await an_execution(tx, owner_id=uuid4()),
        "silent": await an_execution(tx, owner_id=silent),
        "living": await an_execution(tx, owner_id=await a_process(tx)),
        "nobody's": await an_execution(tx),
        "item": await an_execution(tx, owner_id=dead, batch_id=uuid4(), item_index=0),
    }


async def batches(tx: Transaction) -> dict[str, UUID]:
    """Add live batches that wait, that nobody works on, and whose items have all ended."""
    batches = {
        "waiting": await a_running_batch(tx),
        "worked on": await a_running_batch(tx),
        "stalled": await a_running_batch(tx, shares=(2, 1)),
        "stopping": await a_running_batch(tx),
        "over": await a_running_batch(tx, invalid=(0, 1, 2)),
        "paused": await a_batch(tx),
        "paused and over": await a_batch(tx, invalid=(0, 1, 2)),
    }
    await tx.waiting_lanes.take(batches["worked on"], 0, await a_process(tx))
    for name in ("paused", "paused and over"):
        assert await tx.batches.pause(batches[name])
    await _session_of(tx).execute(
        text("UPDATE batches SET stopping = 'cancelled' WHERE id = :id"),
        {"id": batches["stopping"]},
    )
    idle = [batches[name] for name in batches if name not in {"waiting", "worked on"}]
    lanes = update(BatchLane).where(BatchLane.batch_id.in_(idle))
    await _session_of(tx).execute(lanes.values(waits_since=None))
    return batches


async def programs(tx: Transaction) -> dict[str, UUID]:
    """Add programs that have been initializing for long, and for a moment."""
    programs = {name: (await a_program(tx)).id for name in ("stuck", "busy", "draft")}
    for name in ("stuck", "busy"):
        await tx.programs.mark(programs[name], ProgramStatus.INITIALIZING)
    long_ago = func.now() - timedelta(minutes=3)
    stuck = update(Program).where(Program.id == programs["stuck"])
    await _session_of(tx).execute(stuck.values(updated_at=long_ago))
    return programs


async def uploads(tx: Transaction) -> dict[str, UUID]:
    """Add uploads of the dead and of the living, each with an item."""
    dead, living = await a_process(tx, ended_s=0), await a_process(tx)
    uploads = {"abandoned": IDS.new(), "coming in": IDS.new()}
    for batch_id, owner_id in zip(uploads.values(), (dead, living), strict=True):
        await tx.batch_uploads.add(batch_id, owner_id)
        item = NewItem(0, None, {"question": "why"})
        await tx.batch_items.add(of_items(batch_id), 0, [row_of(item)])
    return uploads


async def deliveries(tx: Transaction) -> dict[str, UUID]:
    """Add deliveries that ended long ago, of a batch that has ended and of one that has not."""
    ended = await a_batch(tx, invalid=(0, 1, 2))
    assert await tx.batches.close(ended, {})
    live = await a_batch(tx)
    deliveries = {
        "expired": await a_delivery(tx, ended, 1),
        "young": await a_delivery(tx, ended, 2),
        "waiting": await a_delivery(tx, ended, 3),
        "of a live batch": await a_delivery(tx, live),
    }
    for name, days in (("expired", 31), ("young", 29), ("of a live batch", 31)):
        delivered = update(WebhookDelivery).where(WebhookDelivery.id == deliveries[name])
        finished_at = func.now() - timedelta(days=days)
        await _session_of(tx).execute(
            delivered.values(status=DeliveryStatus.DELIVERED, finished_at=finished_at)
        )
    return deliveries


async def keys(tx: Transaction) -> None:
    """Add an idempotency key that has expired, and one that has not."""
    for number, hours in enumerate((23, 25)):
        digest = bytes([number]) * 32
        values = {"key": digest, "request": digest, "resource_id": uuid4(), "is_new": True}
        created_at = func.now() - timedelta(hours=hours)
        await _session_of(tx).execute(
            insert(IdempotencyKey).values(**values, created_at=created_at)
        )


async def jobs(tx: Transaction) -> None:
    """Add jobs that wait, run and have ended."""
    await _session_of(tx).execute(
        text(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, status) SELECT 'q', 't', s FROM"
            " unnest(enum_range(null::procrastinate_job_status)) AS s"
        )
    )


async def processes(tx: Transaction) -> None:
    """Add processes that live, ended lately, and ended long ago."""
    await a_process(tx)
    for hours in (23, 25):
        await a_process(tx, ended_s=hours * 3_600)


async def records(tx: Transaction) -> dict[str, UUID]:
    """Add records of two old weeks; what is in the older one has expired, but for its batch."""
    keeping = (await a_program(tx, retention={"completed_days": 0, "failed_days": 50})).id
    quick = (await a_program(tx, retention={"completed_days": 7, "failed_days": None})).id
    batch = await an_ended_batch(tx, 100)
    live = await a_live_batch(tx, 61)
    return {
        "expired with its week": await a_record(tx, 100),
        "expired batch": batch,
        "expired": await a_record(tx, 60, finished=31),
        "expired failure": await a_record(tx, 60, ExecutionStatus.FAILED),
        "expired by its program": await a_record(tx, 12, finished=8, program_id=quick),
        "young": await a_record(tx, 60, finished=29),
        "young by the settings": await a_record(
            tx, 12, ExecutionStatus.FAILED, finished=8, program_id=quick
        ),
        "kept for ever": await a_record(tx, 60, program_id=keeping),
        "young by its program": await a_record(
            tx, 60, ExecutionStatus.FAILED, finished=40, program_id=keeping
        ),
        "running": await a_record(tx, 60, None),
        "live batch": live,
        "ended item of a live batch": item_id(live, 0),
    }


async def a_record(
    tx: Transaction,
    begun: int,
    status: ExecutionStatus | None = ExecutionStatus.COMPLETED,
    *,
    finished: int | None = None,
    **values: Any,
) -> UUID:
    """Add a record that began, and ended unless its status is None, so many days ago."""
    execution_id = await an_execution(tx, id=await _an_id(tx, begun), **values)
    if status is not None:
        await tx.executions.finish(execution_id, an_ending(status))
        finished_at = func.now() - timedelta(days=begun if finished is None else finished)
        record = update(Execution).where(Execution.id == execution_id)
        await _session_of(tx).execute(record.values(finished_at=finished_at))
    return execution_id


async def an_ended_batch(tx: Transaction, days: int, **values: Any) -> UUID:
    """Add a batch of three items that failed, all of it so many days ago."""
    batch_id = await a_live_batch(tx, days, invalid=(0, 1, 2), **values)
    assert await tx.batches.close(batch_id, {})
    finished_at = func.now() - timedelta(days=days)
    batch = update(Batch).where(Batch.id == batch_id)
    await _session_of(tx).execute(batch.values(finished_at=finished_at))
    await _session_of(tx).execute(update(BatchLane).values(waits_since=None))
    return batch_id


async def a_live_batch(tx: Transaction, days: int, **values: Any) -> UUID:
    """Add a batch that came in so many days ago; its first item has ended, unless told."""
    return await a_batch(tx, id=await _an_id(tx, days), **{"invalid": (0,), **values})


async def copies(tx: Transaction, pattern: UUID, count: int) -> None:
    """Add records like one, with the ids that follow its own."""
    names = ", ".join(name for name in Execution.__table__.c.keys() if name != "id")  # noqa: SIM118
    statement = text(
        f"INSERT INTO executions (id, {names}) SELECT n.id, {names}"  # noqa: S608 - our own columns
        " FROM executions, unnest(CAST(:ids AS uuid[])) AS n (id) WHERE executions.id = :id"
    )
    ids = [UUID(int=pattern.int + 3 + number) for number in range(count)]
    await _session_of(tx).execute(statement, {"id": pattern, "ids": ids})


async def _an_id(tx: Transaction, days: int) -> UUID:
    """Make an id of so many days ago, and its week."""
    moment = datetime.now(UTC) - timedelta(days=days)
    made = Ids(ManualClock(moment)).new()
    await tx.partitions.ensure_for([made])
    return made


def _session_of(tx: Transaction) -> AsyncSession:
    return tx.processes._session


EVERY = (orphans, batches, uploads, programs, records, deliveries, keys, jobs, processes)
