"""What a client may ask for: a batch, out of whatever items."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.actions.batch_processing.options import BatchOptions
from app.actions.batch_processing.validation import Incoming, OnInvalid
from app.models.idempotency_keys import Claim

Items = Callable[[], AsyncIterator[Incoming]]
"""Gives the items of a batch, from the first on, each time that it is called."""


@dataclass(frozen=True)
class BatchAcceptanceInput:
    """A batch that a client asks for; `metadata` is the client's alone.

    `retry_of` names the batch whose rest it is.
    """

    program_id: UUID
    items: Items
    options: BatchOptions = field(default_factory=BatchOptions)
    on_invalid: OnInvalid = OnInvalid.REJECT
    metadata: Mapping[str, Any] = field(default_factory=dict)
    request_id: str | None = None
    claim: Claim | None = None
    retry_of: UUID | None = None


def listed(items: Sequence[Incoming]) -> Items:
    """Give items that are all at hand."""

    async def each() -> AsyncIterator[Incoming]:
        for item in items:
            yield item

    return each
