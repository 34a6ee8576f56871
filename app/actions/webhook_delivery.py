"""Attempt a delivery: post it, record what came of it, and say when it is attempted again."""

import logging
from collections.abc import Mapping
from random import Random
from typing import Any

from app.actions.patience import patiently
from app.database import Database
from app.models import WebhookDelivery
from app.models.states import DeliveryStatus
from app.policies.clock import Clock
from app.webhooks.client import Answer, ReceiverClient
from app.webhooks.signing import Signer

logger = logging.getLogger(__name__)

BACK_OFF_S = (1.0, 5.0, 30.0, 120.0, 600.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0)
"""The pauses between attempts, a fifth more or less: nineteen hours until it has failed."""


class DeliveryAttempt:
    """Makes one attempt at a delivery that this process has claimed."""

    def __init__(
        self,
        database: Database,
        client: ReceiverClient,
        signer: Signer,
        clock: Clock,
        random: Random,
    ) -> None:
        self._database = database
        self._client = client
        self._signer = signer
        self._clock = clock
        self._random = random

    async def __call__(self, delivery: WebhookDelivery) -> None:
        """Attempt it; however long the database is away, the answer is recorded in the end."""
        now, began = self._clock.now(), self._clock.monotonic()
        answer = await self._post(delivery)
        attempt = {
            "started_at": now,
            "duration_ms": round((self._clock.monotonic() - began) * 1_000, 3),
            "status": answer.status,
            "answer": answer.body,
            "error": answer.error,
        }
        status, again_after_s = self._judged(answer, len(delivery.attempts))
        attempts = [*delivery.attempts, attempt]

        async def record() -> None:
            async with self._database.transaction() as tx:
                await tx.webhook_deliveries.finish(delivery, status, attempts, again_after_s)

        await patiently(self._clock, record)
        _log(delivery, status, attempt)

    async def _post(self, delivery: WebhookDelivery) -> Answer:
        signed = self._signer.headers(str(delivery.id), self._clock.now(), delivery.body)
        headers = {"Content-Type": "application/json", **signed}
        return await self._client.post(delivery.address, delivery.body.encode(), headers)

    def _judged(self, answer: Answer, failures: int) -> tuple[DeliveryStatus, float]:
        """Say what becomes of a delivery after so many failures, and when it is due again."""
        if answer.is_success:
            return DeliveryStatus.DELIVERED, 0.0
        if answer.is_final:
            is_gone = answer.status is not None
            return DeliveryStatus.GONE if is_gone else DeliveryStatus.FAILED, 0.0
        if failures >= len(BACK_OFF_S):
            return DeliveryStatus.FAILED, 0.0
        pause_s = BACK_OFF_S[failures] * self._random.uniform(0.8, 1.2)
        return DeliveryStatus.PENDING, max(pause_s, answer.retry_after_s or 0.0)


def _log(delivery: WebhookDelivery, status: DeliveryStatus, attempt: Mapping[str, Any]) -> None:
    """Leave a line, without the receiver's address, which may hold a secret."""
    logger.info(
        "delivery %s of batch %s: attempt %d came to %s, it is %s",
        delivery.id,
        delivery.batch_id,
        len(delivery.attempts) + 1,
        attempt["status"] or attempt["error"],
        status,
    )
