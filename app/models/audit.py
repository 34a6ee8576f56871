"""Table `audit_entries`."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Identity
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Instant

CLI = "cli"
"""Who acts by the command line."""


class Act(StrEnum):
    """What administrators do."""

    KEY_CREATED = "key_created"
    """A key was made; the subject is its id."""
    KEY_REVOKED = "key_revoked"
    """A key was revoked; the subject is its id."""


class AuditEntry(Base):
    """One administrative act."""

    __tablename__ = "audit_entries"
    __table_args__ = ({"comment": "Administrative acts: who did what to what, and when."},)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    actor: Mapped[str] = mapped_column(comment="The id of a key, or cli.")
    act: Mapped[str] = mapped_column(comment="key_created, key_revoked …")
    subject: Mapped[str] = mapped_column(comment="The id or name of what it was done to.")
    created_at: Mapped[datetime] = mapped_column(Instant, comment="When it was done.")
