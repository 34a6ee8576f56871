"""The rows of `webhook_deliveries`: what is to be posted, claimed by processes and ended by them.

Of one batch one delivery at a time is attempted, the oldest first.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import case, exists, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.errors import DeliveryNotFoundError
from app.models import WebhookDelivery
from app.models.states import DeliveryStatus
from app.models.webhook_deliveries import PROGRESS, QUEUE, TASK
from app.stores.jobs import JobStore
from app.stores.pages import Page, Paged, on_page, paged

MOST_TOLD = 100
"""Ended deliveries of a batch's progress that are kept; of its end all are."""

_TABLE = WebhookDelivery.__table__.c

_IS_FREE = """
NOT EXISTS (
    SELECT FROM processes AS p
    WHERE p.id = {of}.owner_id AND p.ended_at IS NULL
        AND (p.id IS DISTINCT FROM CAST(:owner_id AS uuid) OR {of}.id = ANY(CAST(:held AS uuid[])))
)
"""
_DUE = f"""
d.status = '{DeliveryStatus.PENDING}' AND d.due_at <= now() AND {_IS_FREE.format(of="d")}
AND NOT EXISTS (
    SELECT FROM webhook_deliveries AS o
    WHERE o.batch_id = d.batch_id AND o.id <> d.id AND (
        o.due_at > now() OR o.status = '{DeliveryStatus.PENDING}'
        AND (o.sequence < d.sequence OR NOT {_IS_FREE.format(of="o")})
    )
)
"""
_HOST = r"rtrim(lower(substring(address from '://(\[[^]]*\]|[^/?#\:]*)')), '.')"
"""The host of an address that was accepted: without user information, scheme and port."""
_CLAIM = text(f"""
UPDATE webhook_deliveries SET owner_id = :owner_id
WHERE id = (
    SELECT d.id FROM webhook_deliveries AS d
    WHERE NOT {_HOST} = ANY(CAST(:busy_hosts AS text[])) AND {_DUE}
    ORDER BY d.due_at LIMIT 1 FOR UPDATE OF d SKIP LOCKED
)
RETURNING id, {_HOST}
""")  # noqa: S608 - our own states
_REMIND = text(f"""
SELECT dspatch_wake_up('{QUEUE}', '{TASK}')
WHERE EXISTS (SELECT FROM webhook_deliveries AS d WHERE {_DUE})
""")  # noqa: S608 - our own states
_FORGET = text(f"""
DELETE FROM webhook_deliveries
WHERE batch_id = :batch_id AND type = '{PROGRESS}' AND status <> '{DeliveryStatus.PENDING}'
    AND sequence <= (
        SELECT sequence FROM webhook_deliveries WHERE batch_id = :batch_id
        ORDER BY sequence DESC OFFSET :kept LIMIT 1
    )
""")  # noqa: S608 - our own states


@dataclass(frozen=True)
class ClaimedDelivery:
    """A delivery that is this process's, and the host that it goes to."""

    delivery: WebhookDelivery
    host: str


class WebhookDeliveryStore:
    """Reads and writes deliveries within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, values: Mapping[str, Any]) -> None:
        """Have an event posted, with this transaction's commit; not to a receiver that is gone.

        What has been told of a sequence is not told again. The end of a batch takes the place of a
        progress that waits.
        """
        batch_id: UUID = values["batch_id"]
        if await self._is_gone(batch_id):
            return
        if values["type"] == PROGRESS:
            await self._session.execute(_FORGET, {"batch_id": batch_id, "kept": MOST_TOLD})
        else:
            await self._session.execute(
                update(WebhookDelivery)
                .where(
                    _TABLE.batch_id == batch_id,
                    _TABLE.type == PROGRESS,
                    _TABLE.status == DeliveryStatus.PENDING,
                    _TABLE.owner_id.is_(None),
                )
                .values(status=DeliveryStatus.SUPERSEDED, finished_at=func.now())
            )
        fresh = {"status": DeliveryStatus.PENDING, "due_at": func.now(), "created_at": func.now()}
        statement = insert(WebhookDelivery).values(**values, **fresh)
        await self._session.execute(statement.on_conflict_do_nothing())
        await self._wake_up()

    async def claim(
        self, owner_id: UUID, held: Collection[UUID], busy_hosts: Collection[str] = ()
    ) -> ClaimedDelivery | None:
        """Claim the delivery that has been due longest; where another is, wake somebody up.

        `held` are those that this process attempts: what else is its own was claimed by a
        transaction whose answer it never had. None where none is due, but to hosts that are busy.
        """
        bound = {"owner_id": owner_id, "held": list(held), "busy_hosts": list(busy_hosts)}
        claimed = (await self._session.execute(_CLAIM, bound)).one_or_none()
        if claimed is None:
            return None
        await self.remind()
        delivery_id, host = claimed
        return ClaimedDelivery(await self._session.get_one(WebhookDelivery, delivery_id), host)

    async def finish(
        self,
        delivery: WebhookDelivery,
        status: DeliveryStatus,
        attempts: Sequence[Mapping[str, Any]],
        again_after_s: float = 0.0,
    ) -> bool:
        """End a delivery, or have it attempted again; False where somebody else has it now.

        A progress is not attempted again once the batch's end is to be posted.
        """
        later = aliased(WebhookDelivery)
        is_outdated = exists().where(
            literal(status == DeliveryStatus.PENDING),
            _TABLE.type == PROGRESS,
            later.batch_id == delivery.batch_id,
            later.sequence > delivery.sequence,
            later.type != PROGRESS,
        )
        is_over = literal(status != DeliveryStatus.PENDING) | is_outdated
        statement = (
            update(WebhookDelivery)
            .where(_TABLE.id == delivery.id, _TABLE.owner_id == delivery.owner_id)
            .values(
                status=case((is_outdated, DeliveryStatus.SUPERSEDED), else_=status),
                finished_at=case((is_over, func.now())),
                attempts=attempts,
                due_at=func.now() + timedelta(seconds=again_after_s),
                owner_id=None,
            )
            .returning(_TABLE.id)
        )
        return (await self._session.scalars(statement)).one_or_none() is not None

    async def redeliver(self, batch_id: UUID, delivery_id: UUID) -> WebhookDelivery:
        """Have a delivery attempted anew, once it may be; DeliveryNotFoundError."""
        query = (
            select(WebhookDelivery)
            .where(_TABLE.batch_id == batch_id, _TABLE.id == delivery_id)
            .with_for_update()
        )
        delivery = (await self._session.scalars(query)).one_or_none()
        if delivery is None:
            raise DeliveryNotFoundError(f"There is no delivery {delivery_id} of this batch.")
        if delivery.owner_id is None:
            delivery.status, delivery.finished_at = DeliveryStatus.PENDING, None
            delivery.due_at = func.now()
            await self._session.flush()
            await self._session.refresh(delivery)
            await self._wake_up()
        return delivery

    async def list_page(self, batch_id: UUID, page: Page) -> Paged[WebhookDelivery]:
        """List the deliveries of a batch, newest first."""
        query = select(WebhookDelivery).where(_TABLE.batch_id == batch_id)
        rows = (await self._session.scalars(on_page(query, _TABLE.id, page))).all()
        return paged(rows, page)

    async def count_waiting(self) -> int:
        """Count the deliveries that have not come to an end."""
        query = select(func.count()).where(_TABLE.status == DeliveryStatus.PENDING)
        return (await self._session.scalars(query)).one()

    async def remind(self) -> None:
        """Wake somebody up where a delivery is due."""
        await self._session.execute(_REMIND, {"owner_id": None, "held": []})

    async def _is_gone(self, batch_id: UUID) -> bool:
        query = select(
            exists().where(_TABLE.batch_id == batch_id, _TABLE.status == DeliveryStatus.GONE)
        )
        return bool((await self._session.scalars(query)).one())

    async def _wake_up(self) -> None:
        await JobStore(self._session).wake_up(QUEUE, TASK)
