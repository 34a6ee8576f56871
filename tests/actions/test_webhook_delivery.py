"""An attempt at a delivery: what is posted, what is recorded, and when it is made again."""

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random
from uuid import UUID

import pytest
from typing_extensions import override

from app.actions.webhook_delivery import BACK_OFF_S, DeliveryAttempt
from app.database import Database
from app.models import WebhookDelivery
from app.policies.clock import SystemClock
from app.settings import Settings
from app.webhooks.addresses import AddressRules
from app.webhooks.client import ReceiverClient
from app.webhooks.signing import Signer
from tests.stores.rows import IDS, a_batch, a_process
from tests.stores.test_webhook_deliveries import found
from tests.support.clock import RestlessClock
from tests.support.outage import a_leaving_database
from tests.support.receiver import Receiver, a_receiver, an_answer

BODY = '{"type":"batch.completed","data":"…"}'


@dataclass
class House:
    """A receiver, and the way to it."""

    database: Database
    receiver: Receiver
    attempt: DeliveryAttempt

    async def attempted(self, address: str | None = None, failures: int = 0) -> WebhookDelivery:
        """Attempt a delivery that has failed so often; give what became of it."""
        delivery = await self.claimed(address, failures)
        await self.attempt(delivery)
        return await self.read(delivery.id)

    async def claimed(self, address: str | None = None, failures: int = 0) -> WebhookDelivery:
        """Make a delivery that this process has claimed."""
        async with self.database.transaction() as tx:
            batch_id, owner_id = await a_batch(tx), await a_process(tx)
            values = {"id": IDS.new(), "batch_id": batch_id, "sequence": 1, "body": BODY}
            where = {"address": address or self.receiver.url, "type": "batch.completed"}
            await tx.webhook_deliveries.add({**values, **where})
            claimed = await tx.webhook_deliveries.claim(owner_id, [])
            assert claimed is not None
        claimed.delivery.attempts = [{}] * failures
        return claimed.delivery

    async def read(self, delivery_id: UUID) -> WebhookDelivery:
        """Read a delivery."""
        async with self.database.transaction() as tx:
            return await found(tx, delivery_id)


@pytest.fixture
async def house(database: Database) -> AsyncIterator[House]:
    """Give all of it; the receiver may be reached."""
    async with a_receiver() as receiver:
        client = ReceiverClient(AddressRules([receiver.host]), SystemClock())
        attempt = DeliveryAttempt(
            database,
            client,
            Signer(b"secret"),
            RestlessClock(),
            Random(0),  # noqa: S311 - jitter
        )
        yield House(database, receiver, attempt)
        await client.close()


async def test_a_delivery_that_is_taken_is_delivered(house: House) -> None:
    """The body as it was written, signed for this attempt, with what the receiver said."""
    house.receiver.answers.append(an_answer("200 OK", b"thank you"))
    delivery = await house.attempted()
    (request,) = house.receiver.requests
    assert (request.path, request.body.decode()) == ("/hook", BODY)
    assert json.loads(request.body)["type"] == "batch.completed"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == str(delivery.id)
    now = RestlessClock().now()
    signed = Signer(b"secret").headers(str(delivery.id), now, BODY)
    assert request.headers["webhook-signature"] == signed["webhook-signature"]
    assert (delivery.status, delivery.owner_id) == ("delivered", None)
    assert delivery.finished_at is not None
    (attempt,) = delivery.attempts
    assert attempt.pop("started_at").startswith("2026-01-05T00:00:00")
    assert attempt.pop("duration_ms") >= 0
    assert attempt == {"status": 200, "answer": "thank you", "error": None}


async def test_a_delivery_that_fails_is_attempted_again_later(house: House) -> None:
    """After longer and longer pauses, or as the receiver asks; then it has failed."""
    pauses_s = []
    for failures in range(len(BACK_OFF_S)):
        house.receiver.answers.append(an_answer("500 Bad"))
        delivery = await house.attempted(failures=failures)
        assert (delivery.status, len(delivery.attempts)) == ("pending", failures + 1)
        pauses_s.append((delivery.due_at - delivery.created_at).total_seconds())
    for pause_s, back_off_s in zip(pauses_s, BACK_OFF_S, strict=True):
        assert pause_s == pytest.approx(back_off_s, rel=0.21, abs=60)
    house.receiver.answers.append(an_answer("503 Busy", b"", "Retry-After: 300"))
    delivery = await house.attempted()
    assert (delivery.due_at - delivery.created_at).total_seconds() >= 300
    house.receiver.answers.append(an_answer("500 Bad"))
    assert (await house.attempted(failures=len(BACK_OFF_S))).status == "failed"


async def test_what_is_final_is_not_attempted_again(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """A receiver that is gone, and one that may not be reached; its address is not logged."""
    caplog.set_level(logging.INFO, "app.actions.webhook_delivery")
    house.receiver.answers.append(an_answer("410 Gone"))
    assert (await house.attempted()).status == "gone"
    refused = await house.attempted("https://127.0.0.1/secret")
    assert refused.status == "failed"
    assert refused.attempts[0]["error"] == "It is an address that is not public."
    assert len(house.receiver.requests) == 1
    assert "attempt 1 came to 410, it is gone" in caplog.text
    assert "secret" not in caplog.text
    assert house.receiver.host not in caplog.text


async def test_what_came_is_recorded_when_the_database_is_back(
    house: House, settings: Settings
) -> None:
    """The receiver is not asked again meanwhile."""
    delivery = await house.claimed()
    async with a_leaving_database(settings) as leaving:
        leaving.is_away = True

        class Returning(RestlessClock):
            @override
            async def sleep(self, seconds: float) -> None:
                leaving.is_away = len(self.slept) < 3
                await super().sleep(seconds)

        house.attempt._database, house.attempt._clock = leaving, Returning()
        await house.attempt(delivery)
    assert (await house.read(delivery.id)).status == "delivered"
    assert len(house.receiver.requests) == 1
