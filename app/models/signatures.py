"""Table `signatures`."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Document, Instant
from app.signatures.definition import SignatureDefinition


class Signature(Base):
    """A named, versioned, typed contract."""

    __tablename__ = "signatures"
    __table_args__ = (
        UniqueConstraint("name", "version"),
        UniqueConstraint("name", "content_hash"),
        {"comment": "Named, versioned, typed contracts of programs."},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7.")
    name: Mapped[str] = mapped_column()
    version: Mapped[int] = mapped_column(comment="Counted per name, from 1.")
    status: Mapped[str] = mapped_column(comment="draft, active or deprecated.")
    instructions: Mapped[str] = mapped_column(comment="What the model is told to do.")
    description: Mapped[str] = mapped_column(comment="For people.")
    inputs: Mapped[list[dict[str, Any]]] = mapped_column(
        Document, comment="Ordered fields: name, type, constraints, description, default."
    )
    outputs: Mapped[list[dict[str, Any]]] = mapped_column(Document, comment="As inputs.")
    notation: Mapped[str] = mapped_column(comment="Inputs and outputs in arrow notation.")
    content_hash: Mapped[str] = mapped_column(
        comment="SHA-256 of inputs, outputs and instructions."
    )
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)

    @property
    def definition(self) -> SignatureDefinition:
        """The fields and instructions as values, parsed anew each time."""
        return SignatureDefinition.from_documents(self.inputs, self.outputs, self.instructions)
