"""Deliveries of webhooks, attempted by jobs of a queue of their own, beside all other work."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from uuid import UUID

from app.actions.callback_check import CallbackCheck
from app.actions.webhook_delivery import DeliveryAttempt
from app.database import Database
from app.jobs.engine import Engine, Queue
from app.jobs.worker import LAST_WORD_S
from app.models import WebhookDelivery
from app.models.webhook_deliveries import QUEUE, TASK
from app.policies.clock import Clock
from app.settings import Settings
from app.webhooks.addresses import AddressRules
from app.webhooks.client import ReceiverClient
from app.webhooks.signing import Signer, signer_of

MOST_AT_ONCE = 32
"""Attempts of one process at once: a receiver that hangs keeps one of them busy per batch."""


class Deliveries:
    """Attempts what is due, one after another for each job; a job wakes up others.

    What a process held that has ended is due again, under the same id.
    """

    def __init__(
        self,
        database: Database,
        owner_id: Callable[[], UUID],
        attempt: Callable[[WebhookDelivery], Awaitable[None]],
    ) -> None:
        self._database = database
        self._owner_id = owner_id
        self._attempt = attempt
        self._held = set[UUID]()
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
                self._held.discard(delivery.id)

    async def _claim(self) -> WebhookDelivery | None:
        async with self._claiming:
            async with self._database.transaction() as tx:
                delivery = await tx.webhook_deliveries.claim(self._owner_id(), self._held)
            if delivery is not None:
                self._held.add(delivery.id)
        return delivery


@dataclass(frozen=True)
class DeliveryTools:
    """What deliveries are made with; the engine works on `reserved` connections."""

    settings: Settings
    environment: Mapping[str, str]
    database: Database
    reserved: Database
    owner_id: Callable[[], UUID]
    clock: Clock
    random: Random


def open_callbacks(stack: AsyncExitStack, tools: DeliveryTools) -> CallbackCheck:
    """Call receivers back until the stack closes, where there is a secret to sign by."""
    webhooks = tools.settings.webhooks
    rules, signer = AddressRules(webhooks.allowed_hosts), signer_of(webhooks, tools.environment)
    if signer is not None and tools.settings.worker.embedded:
        _start_engine(stack, tools, rules, signer)
    return CallbackCheck(rules, has_secret=signer is not None)


def _start_engine(
    stack: AsyncExitStack, tools: DeliveryTools, rules: AddressRules, signer: Signer
) -> None:
    client = ReceiverClient(rules, tools.clock)
    stack.push_async_callback(client.close)
    attempt = DeliveryAttempt(tools.database, client, signer, tools.clock, tools.random)
    deliveries = Deliveries(tools.database, tools.owner_id, attempt)
    engine = Engine(
        deliveries.queue,
        tools.settings.database,
        tools.reserved,
        tools.owner_id,
        tools.clock,
        tools.random,
    )
    stack.push_async_callback(engine.close, LAST_WORD_S)
    engine.start()
