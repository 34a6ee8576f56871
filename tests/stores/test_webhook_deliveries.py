"""Deliveries: which are due, whose they are, and what becomes of them."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, update

from app.database import Database
from app.errors import DeliveryNotFoundError
from app.models import WebhookDelivery
from app.models.states import DeliveryStatus
from app.models.webhook_deliveries import PROGRESS, QUEUE
from app.stores.pages import Page
from app.stores.transaction import Transaction
from app.stores.webhook_deliveries import MOST_TOLD
from tests.stores.rows import IDS, a_batch, a_process

END = "batch.completed"


@pytest.fixture
async def tx(database: Database) -> AsyncIterator[Transaction]:
    """One transaction for the whole test."""
    async with database.transaction() as tx:
        yield tx


@pytest.fixture
async def owner_id(tx: Transaction) -> UUID:
    """A process that lives."""
    return await a_process(tx)


async def a_delivery(
    tx: Transaction,
    batch_id: UUID,
    sequence: int = 1,
    type_: str = PROGRESS,
    address: str = "https://a.example/",
) -> UUID:
    """Add a delivery; give its id."""
    delivery_id = IDS.new()
    values = {"id": delivery_id, "batch_id": batch_id, "sequence": sequence, "type": type_}
    await tx.webhook_deliveries.add({**values, "address": address, "body": "{}"})
    return delivery_id


async def found(tx: Transaction, delivery_id: UUID) -> WebhookDelivery:
    """Read a delivery anew."""
    session = tx.webhook_deliveries._session
    return await session.get_one(WebhookDelivery, delivery_id, populate_existing=True)


async def set_due(tx: Transaction, delivery_id: UUID, **values: Any) -> None:
    """Change a delivery behind everybody's back."""
    statement = update(WebhookDelivery).where(WebhookDelivery.id == delivery_id)
    await tx.webhook_deliveries._session.execute(statement.values(**values))


async def claimed(tx: Transaction, owner_id: UUID, *held: UUID) -> UUID | None:
    """Claim the next delivery, beside those that are held."""
    found = await tx.webhook_deliveries.claim(owner_id, held)
    return None if found is None else found.delivery.id


async def taken(tx: Transaction, owner_id: UUID, *held: UUID) -> WebhookDelivery:
    """Claim the next delivery, which is there."""
    found = await tx.webhook_deliveries.claim(owner_id, held)
    assert found is not None
    tx.webhook_deliveries._session.expunge(found.delivery)  # as it was claimed, whatever follows
    return found.delivery


async def test_a_delivery_is_claimed_once(tx: Transaction, owner_id: UUID) -> None:
    """By one process; another is woken up where there is more."""
    ids = {await a_delivery(tx, await a_batch(tx)) for _ in range(2)}
    assert (await tx.jobs.count_waiting())[QUEUE] == 1
    first = await claimed(tx, owner_id)
    assert first is not None
    assert {first, await claimed(tx, await a_process(tx), first)} == ids
    assert await claimed(tx, owner_id, first) is None
    assert await tx.webhook_deliveries.count_waiting() == 2


async def test_what_a_dead_process_held_is_due_again(tx: Transaction, owner_id: UUID) -> None:
    """Under the same id; and somebody is reminded of it."""
    delivery_id = await a_delivery(tx, await a_batch(tx))
    assert await claimed(tx, owner_id) == delivery_id
    other = await a_process(tx)
    assert await claimed(tx, other) is None
    await tx.processes.end(owner_id)
    await tx.webhook_deliveries.remind()
    assert await claimed(tx, other) == delivery_id


async def test_a_claim_whose_answer_was_lost_is_found(tx: Transaction, owner_id: UUID) -> None:
    """By the process itself: what it does not hold, it has never been told of."""
    delivery_id = await a_delivery(tx, await a_batch(tx))
    assert await claimed(tx, owner_id) == delivery_id
    assert await claimed(tx, owner_id, delivery_id) is None
    assert await claimed(tx, owner_id) == delivery_id


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://A.Example/x?y=http://b.example/", "a.example"),
        ("https://a.example.:8443?x", "a.example"),
        ("HTTPS://[2001:4860::8888]:8443/x", "[2001:4860::8888]"),
        ("http://10.1.2.3", "10.1.2.3"),
        ("https://a.example#x", "a.example"),
    ],
)
async def test_what_goes_to_a_busy_host_waits(
    tx: Transaction, owner_id: UUID, address: str, host: str
) -> None:
    """However it is spelled; what goes elsewhere does not."""
    to_host = await a_delivery(tx, await a_batch(tx), address=address)
    elsewhere = await a_delivery(tx, await a_batch(tx), address="https://b.example/")
    found = await tx.webhook_deliveries.claim(owner_id, [], [host])
    assert found is not None
    assert (found.delivery.id, found.host) == (elsewhere, "b.example")
    assert await tx.webhook_deliveries.claim(owner_id, [elsewhere], [host]) is None
    found = await tx.webhook_deliveries.claim(owner_id, [elsewhere], ["b.example"])
    assert found is not None
    assert (found.delivery.id, found.host) == (to_host, host)


async def test_of_a_batch_one_is_attempted_at_a_time(tx: Transaction, owner_id: UUID) -> None:
    """The oldest first, the next when it has been taken; another batch's do not wait."""
    batch_id = await a_batch(tx)
    first, second = await a_delivery(tx, batch_id, 1), await a_delivery(tx, batch_id, 2)
    other = await a_delivery(tx, await a_batch(tx))
    delivery = await taken(tx, owner_id)
    held = {delivery.id, (await taken(tx, owner_id, delivery.id)).id}
    assert held == {first, other}
    assert await claimed(tx, owner_id, *held) is None
    attempted = await found(tx, first)
    assert await tx.webhook_deliveries.finish(attempted, DeliveryStatus.DELIVERED, [{"n": 1}])
    assert await claimed(tx, owner_id, other) == second


async def test_a_delivery_that_failed_is_due_later(tx: Transaction, owner_id: UUID) -> None:
    """Not before, nor is anything else of its batch."""
    batch_id = await a_batch(tx)
    await a_delivery(tx, batch_id)
    delivery = await taken(tx, owner_id)
    assert await tx.webhook_deliveries.finish(delivery, DeliveryStatus.PENDING, [{"n": 1}], 60)
    read = await found(tx, delivery.id)
    assert (read.status, read.owner_id, read.finished_at) == ("pending", None, None)
    assert read.attempts == [{"n": 1}]
    assert read.due_at > read.created_at
    await a_delivery(tx, batch_id, 2, END)
    assert await claimed(tx, owner_id) is None
    await set_due(tx, delivery.id, due_at=func.now())
    assert await claimed(tx, owner_id) is not None


async def test_the_end_takes_the_place_of_a_progress_that_waits(
    tx: Transaction, owner_id: UUID
) -> None:
    """One that is under way may arrive, but is not attempted again."""
    batch_id = await a_batch(tx)
    waiting = await a_delivery(tx, batch_id, 1)
    end = await a_delivery(tx, batch_id, 9, END)
    assert ((await found(tx, waiting)).status, await claimed(tx, owner_id)) == ("superseded", end)
    other_id = await a_batch(tx)
    await a_delivery(tx, other_id, 1)
    progress = await taken(tx, owner_id, end)
    end_of_other = await a_delivery(tx, other_id, 9, END)
    assert await claimed(tx, owner_id, end, progress.id) is None
    assert await tx.webhook_deliveries.finish(progress, DeliveryStatus.PENDING, [])
    read = await found(tx, progress.id)
    assert (read.status, read.finished_at is not None) == ("superseded", True)
    assert await claimed(tx, owner_id, end) == end_of_other


async def test_who_has_lost_a_delivery_does_not_end_it(tx: Transaction, owner_id: UUID) -> None:
    """Another has it now."""
    await a_delivery(tx, await a_batch(tx))
    delivery = await taken(tx, owner_id)
    await tx.processes.end(owner_id)
    await set_due(tx, delivery.id, owner_id=await a_process(tx))
    assert not await tx.webhook_deliveries.finish(delivery, DeliveryStatus.DELIVERED, [])
    assert (await found(tx, delivery.id)).status == "pending"


async def test_a_receiver_that_is_gone_is_told_nothing_more(
    tx: Transaction, owner_id: UUID
) -> None:
    """Not of this batch, not even its end."""
    batch_id = await a_batch(tx)
    await a_delivery(tx, batch_id)
    gone = await taken(tx, owner_id)
    assert await tx.webhook_deliveries.finish(gone, DeliveryStatus.GONE, [])
    await a_delivery(tx, batch_id, 2, END)
    listed = await tx.webhook_deliveries.list_page(batch_id, Page())
    assert [delivery.id for delivery in listed.items] == [gone.id]


async def test_a_sequence_is_told_once(tx: Transaction) -> None:
    """Where nothing has changed there is nothing to tell."""
    batch_id = await a_batch(tx)
    first = await a_delivery(tx, batch_id, 3)
    await a_delivery(tx, batch_id, 3)
    listed = await tx.webhook_deliveries.list_page(batch_id, Page())
    assert [delivery.id for delivery in listed.items] == [first]


async def test_old_progress_is_forgotten(tx: Transaction) -> None:
    """However long the batch runs, so many of its deliveries are kept, and all of its ends."""
    batch_id = await a_batch(tx)
    end = await a_delivery(tx, batch_id, 1, END)
    for sequence in range(2, MOST_TOLD + 12):
        delivery_id = await a_delivery(tx, batch_id, sequence)
        await set_due(tx, delivery_id, status=DeliveryStatus.DELIVERED)
    listed = (await tx.webhook_deliveries.list_page(batch_id, Page(200))).items
    assert listed[-1].id == end
    assert [delivery.sequence for delivery in listed[:-1]] == list(range(MOST_TOLD + 11, 10, -1))


async def test_a_delivery_is_attempted_anew(tx: Transaction, owner_id: UUID) -> None:
    """Whatever became of it; one that is attempted just now is left to that."""
    batch_id = await a_batch(tx)
    await a_delivery(tx, batch_id)
    delivery = await taken(tx, owner_id)
    again = await tx.webhook_deliveries.redeliver(batch_id, delivery.id)
    assert (again.owner_id, again.status) == (owner_id, "pending")
    assert await tx.webhook_deliveries.finish(delivery, DeliveryStatus.FAILED, [{"n": 1}], 60)
    again = await tx.webhook_deliveries.redeliver(batch_id, delivery.id)
    assert (again.status, again.finished_at, again.attempts) == ("pending", None, [{"n": 1}])
    assert await claimed(tx, owner_id) == delivery.id
    for batch, wrong in ((batch_id, IDS.new()), (IDS.new(), delivery.id)):
        with pytest.raises(DeliveryNotFoundError, match=str(wrong)):
            await tx.webhook_deliveries.redeliver(batch, wrong)
