"""Deliveries of webhooks, attempted by jobs of a queue of their own, beside all other work."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from uuid import UUID

from app.actions.callback_check import CallbackCheck
from app.actions.webhook_delivery import DeliveryAttempt
from app.database import Database
from app.jobs.engine import Engines, Queue
from app.models import WebhookDelivery
from app.models.webhook_deliveries import QUEUE, TASK
from app.settings import Settings
from app.webhooks.addresses import AddressRules
from app.webhooks.client import ReceiverClient
from app.webhooks.signing import signer_of

MOST_AT_ONCE = 32
"""Attempts of one process at once."""


class Deliveries:
    """Attempts what is due, one after another for each job; a job wakes up others.

    At most `most_per_host` are attempted here at once that go to one host: what else goes there
    waits for them, so that a host that hangs leaves the rest to others. What a process held that
    has ended is due again, under the same id.
    """

    def __init__(
        self,
        database: Database,
        owner_id: Callable[[], UUID],
        attempt: Callable[[WebhookDelivery], Awaitable[None]],
        most_per_host: int,
    ) -> None:
        self._database = database
        self._owner_id = owner_id
        self._attempt = attempt
        self._most_per_host = most_per_host
        self._held: dict[UUID, str] = {}
        self._claiming = asyncio.Lock()

    @property
    def queue(self) -> Queue:
        """The queue whose jobs do this."""
        return Queue(QUEUE, TASK, self, MOST_AT_ONCE)

    async def __call__(self) -> None:
        """Attempt until nothing is due; DatabaseUnavailableError."""
        while (delivery := await self._claim()) is not None:
            try:
                await self._attempt(delivery)
            finally:
                del self._held[delivery.id]

    async def _claim(self) -> WebhookDelivery | None:
        async with self._claiming:
            async with self._database.transaction() as tx:
                claimed = await tx.webhook_deliveries.claim(
                    self._owner_id(), self._held, self._busy_hosts()
                )
            if claimed is None:
                return None
            self._held[claimed.delivery.id] = claimed.host
        return claimed.delivery

    def _busy_hosts(self) -> list[str]:
        counts = Counter(self._held.values())
        return [host for host, count in counts.items() if count >= self._most_per_host]


def open_callbacks(
    stack: AsyncExitStack,
    settings: Settings,
    environment: Mapping[str, str],
    database: Database,
    engines: Engines,
) -> CallbackCheck:
    """Call receivers back until the stack closes, where there is a secret to sign by."""
    webhooks = settings.webhooks
    rules, signer = AddressRules(webhooks.allowed_hosts), signer_of(webhooks, environment)
    if signer is not None and settings.worker.embedded:
        client = ReceiverClient(rules, engines.clock)
        stack.push_async_callback(client.close)
        attempt = DeliveryAttempt(database, client, signer, engines.clock, engines.random)
        deliveries = Deliveries(database, engines.process_id, attempt, webhooks.most_per_host)
        engines.run(deliveries.queue, stack)
    return CallbackCheck(rules, has_secret=signer is not None)
