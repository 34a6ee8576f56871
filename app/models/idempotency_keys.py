"""Table `idempotency_keys`: which requests have been accepted under which key."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Instant


@dataclass(frozen=True)
class Claim:
    """What a request claims: a key within its scope, for itself alone; SHA-256 digests."""

    key: bytes
    request: bytes


class IdempotencyKey(Base):
    """The first request of a key, and what came of it.

    Executions are not referenced: their partitions must go without asking.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        Index("ix_idempotency_keys_created_at", "created_at"),
        {"comment": "Requests that were accepted under an Idempotency-Key; kept for 24 h."},
    )

    key: Mapped[bytes] = mapped_column(
        LargeBinary, primary_key=True, comment="SHA-256 of API key, method, path and key."
    )
    request: Mapped[bytes] = mapped_column(
        LargeBinary, comment="SHA-256 of query, Prefer and body."
    )
    resource_id: Mapped[UUID] = mapped_column(comment="What the request made or found.")
    is_new: Mapped[bool] = mapped_column(comment="Whether the request made it.")
    created_at: Mapped[datetime] = mapped_column(Instant)
