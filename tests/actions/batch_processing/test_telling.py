"""Receivers are told of the progress of batches, not too often, and of their end, always."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, update

from app.actions.batch_processing.documents import document_of
from app.actions.batch_processing.reporting import report_of
from app.actions.batch_processing.telling import BatchTelling, ProgressTelling
from app.actions.json_text import json_bytes
from app.adapters.base import ProgramCall, ProgramResult
from app.database import Database
from app.models import Batch, WebhookDelivery
from app.models.states import BatchStatus, DeliveryStatus
from app.settings import Settings
from app.stores.pages import Page
from tests.support.batches import (
    AnsweringAdapter,
    Peer,
    a_stored_batch,
    echo,
    reading,
)
from tests.support.clock import RestlessClock
from tests.support.factories import a_program, new_ids
from tests.support.outage import a_leaving_database
from tests.support.wait import wait_until_so

RECEIVER = {"progress_callback": "https://hooks.example.com/"}


async def told(database: Database, batch_id: UUID) -> Sequence[WebhookDelivery]:
    """List what a batch has told, the oldest first."""
    async with database.transaction() as tx:
        return [*reversed((await tx.webhook_deliveries.list_page(batch_id, Page(200))).items)]


async def age(database: Database, batch_id: UUID, seconds: float = 1.0) -> None:
    """Let a batch be older, and what it has told taken."""
    async with database.transaction() as tx:
        session = tx.batches._session
        earlier = timedelta(seconds=seconds)
        values = {"created_at": Batch.created_at - earlier, "told_at": Batch.told_at - earlier}
        await session.execute(update(Batch).where(Batch.id == batch_id).values(values))
        delivered = {"status": DeliveryStatus.DELIVERED, "finished_at": func.now()}
        await session.execute(update(WebhookDelivery).values(delivered))


async def a_told_batch(database: Database, count: int = 3, **members: Any) -> UUID:
    """Accept a batch that has a receiver."""
    return await a_stored_batch(database, await a_program(database), count, **RECEIVER, **members)


async def test_progress_is_told_once_a_second(database: Database) -> None:
    """Not in the first second, not while something waits to be taken, not without news."""
    batch_id, tell = await a_told_batch(database), BatchTelling(database, new_ids())
    await age(database, batch_id, -60)  # it is young, however long it took to make
    await tell.progress(batch_id)
    assert not await told(database, batch_id)
    await age(database, batch_id, 61)
    await tell.progress(batch_id)
    assert len(await told(database, batch_id)) == 1
    async with database.transaction() as tx:
        await tx.batches.start(batch_id)
        await tx.batches._session.execute(
            update(Batch).values(told_at=func.now() - timedelta(seconds=9))
        )
    await tell.progress(batch_id)
    assert len(await told(database, batch_id)) == 1
    for _ in range(2):
        await age(database, batch_id)
        await tell.progress(batch_id)
    sequences = [delivery.sequence for delivery in await told(database, batch_id)]
    assert len(sequences) == 2
    assert sequences[0] < sequences[1]


async def test_what_is_told_is_the_batch(database: Database) -> None:
    """In the words of its own page, without the results."""
    batch_id = await a_told_batch(database)
    await Peer(database, AnsweringAdapter()).work()
    (delivery,) = await told(database, batch_id)
    body, read = json.loads(delivery.body), await reading(database, batch_id)
    assert (delivery.type, delivery.address) == ("batch.completed", RECEIVER["progress_callback"])
    assert list(body) == ["type", "timestamp", "sequence", "data"]
    assert body["type"] == "batch.completed"
    assert body["timestamp"].endswith("Z")
    assert body["sequence"] == read.sequence == delivery.sequence
    assert body["data"] == json.loads(json_bytes(document_of(report_of(read))))
    assert (body["data"]["status"], body["data"]["successful_items"]) == ("completed", 3)
    assert (body["data"]["successful_outputs"], body["data"]["failures"]) == (None, None)


async def test_every_end_is_told(database: Database) -> None:
    """Cancelled and failed too, and of a batch that has nothing to do."""
    program, types = await a_program(database), []
    for status in (BatchStatus.CANCELLED, BatchStatus.FAILED):
        batch_id = await a_stored_batch(database, program, 2, **RECEIVER)
        async with database.transaction() as tx:
            await tx.batches.stop(batch_id, status)
        await Peer(database, AnsweringAdapter()).tools.close(batch_id)
        types += [delivery.type for delivery in await told(database, batch_id)]
    empty = await a_stored_batch(database, program, 0, **RECEIVER)
    types += [delivery.type for delivery in await told(database, empty)]
    assert types == ["batch.cancelled", "batch.failed", "batch.completed"]


async def test_a_lane_tells_of_its_progress(database: Database) -> None:
    """While it works, before the end."""
    gate = asyncio.Event()

    async def of(call: ProgramCall) -> ProgramResult:
        if call.inputs["question"] == "2":
            await gate.wait()
        return await echo(call)

    batch_id = await a_told_batch(database, max_concurrency=1, batch_size=1)
    await age(database, batch_id)
    peer = Peer(database, AnsweringAdapter(of))
    running = await peer.run()
    assert running is not None

    async def has_told() -> bool:
        return bool(await told(database, batch_id))

    await wait_until_so(has_told)
    gate.set()
    await running
    types = [delivery.type for delivery in await told(database, batch_id)]
    assert (types[0], types[-1]) == ("batch.progress", "batch.completed")


async def test_a_batch_without_a_receiver_tells_nothing(database: Database) -> None:
    """There is nobody to be told."""
    batch_id = await a_stored_batch(database, await a_program(database), 2)
    await Peer(database, AnsweringAdapter()).work()
    assert not await told(database, batch_id)
    tell = BatchTelling(database, new_ids())
    await ProgressTelling(tell, await reading(database, batch_id), RestlessClock())()


async def test_progress_is_told_beside_an_outage(settings: Settings, database: Database) -> None:
    """What could not be told is told with the next news."""
    batch_id, clock = await a_told_batch(database), RestlessClock()
    await age(database, batch_id)
    async with a_leaving_database(settings) as leaving:
        leaving.is_away = True
        tell = BatchTelling(leaving, new_ids())
        telling = ProgressTelling(tell, await reading(database, batch_id), clock)
        task = asyncio.create_task(telling())
        telling.note()

        async def has_failed() -> bool:
            return bool(clock.slept)

        await wait_until_so(has_failed)
        leaving.is_away = False
        telling.note()

        async def has_told() -> bool:
            return bool(await told(database, batch_id))

        await wait_until_so(has_told)
        task.cancel()
        await asyncio.wait({task})
