"""Jobs of deliveries: all that is due is attempted, side by side, and nothing twice at a time."""

import asyncio
from uuid import UUID

import pytest

from app.database import Database
from app.jobs.deliveries import Deliveries
from app.models import WebhookDelivery
from app.models.states import DeliveryStatus
from tests.stores.rows import a_batch, a_process
from tests.stores.test_webhook_deliveries import a_delivery
from tests.support.wait import wait_until


class Attempts:
    """Attempts that are taken when the gate is open."""

    def __init__(self, database: Database) -> None:
        self.gate = asyncio.Event()
        self.began: list[UUID] = []
        self._database = database

    async def __call__(self, delivery: WebhookDelivery) -> None:
        """Attempt one."""
        self.began.append(delivery.id)
        await self.gate.wait()
        async with self._database.transaction() as tx:
            await tx.webhook_deliveries.finish(delivery, DeliveryStatus.DELIVERED, [])


@pytest.fixture
async def attempts(database: Database) -> Attempts:
    """Give attempts that wait."""
    return Attempts(database)


@pytest.fixture
async def deliveries(database: Database, attempts: Attempts) -> Deliveries:
    """Give the deliveries of a process that lives."""
    async with database.transaction() as tx:
        owner_id = await a_process(tx)
    return Deliveries(database, lambda: owner_id, attempts, most_per_host=2)


async def due(database: Database, count: int, address: str = "https://a.example/") -> list[UUID]:
    """Have so many deliveries be due, each of a batch of its own."""
    async with database.transaction() as tx:
        return [await a_delivery(tx, await a_batch(tx), address=address) for _ in range(count)]


async def test_a_job_attempts_all_that_is_due(
    database: Database, deliveries: Deliveries, attempts: Attempts
) -> None:
    """One after another; then it ends."""
    ids = await due(database, 3)
    attempts.gate.set()
    await deliveries()
    assert sorted(attempts.began) == sorted(ids)


async def test_jobs_work_side_by_side(
    database: Database, deliveries: Deliveries, attempts: Attempts
) -> None:
    """A receiver that hangs keeps one of them busy, and no delivery is attempted twice."""
    ids = await due(database, 2)
    jobs = [asyncio.create_task(deliveries()) for _ in range(3)]
    await wait_until(lambda: len(attempts.began) == 2)
    attempts.gate.set()
    await asyncio.gather(*jobs)
    assert sorted(attempts.began) == sorted(ids)


async def test_a_host_that_hangs_leaves_room_for_others(
    database: Database, deliveries: Deliveries, attempts: Attempts
) -> None:
    """What goes to it beyond its share waits for its own, not what goes elsewhere."""
    slow = await due(database, 5)
    other = await due(database, 1, "https://b.example/")
    jobs = [asyncio.create_task(deliveries()) for _ in range(6)]
    await wait_until(lambda: sum(job.done() for job in jobs) == 3)
    assert set(attempts.began) > set(other)
    assert len(attempts.began) == 3
    attempts.gate.set()
    await asyncio.gather(*jobs)
    assert sorted(attempts.began) == sorted([*slow, *other])


async def test_an_attempt_that_was_stopped_is_made_again(
    database: Database, deliveries: Deliveries, attempts: Attempts
) -> None:
    """By this process too."""
    (delivery_id,) = await due(database, 1)
    job = asyncio.create_task(deliveries())
    await wait_until(lambda: bool(attempts.began))
    job.cancel()
    await asyncio.wait({job})
    attempts.gate.set()
    await deliveries()
    assert attempts.began == [delivery_id] * 2


async def test_the_queue_takes_many_jobs_at_once(deliveries: Deliveries) -> None:
    """Or one receiver would hold up all others."""
    assert deliveries.queue.concurrency > 1
    assert deliveries.queue.work is deliveries
