"""Table `pending_executions`: the queue of executions that wait to be claimed."""

from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

QUEUE = "executions"
"""The queue of the engine in which it stands that there are some."""

TASK = "dispatch_executions"
"""What the engine has a process do then."""


class PendingExecution(Base):
    """An execution's place in the queue; it goes when the execution is claimed.

    A table of its own, so that what is pending is found without an index over all executions.
    """

    __tablename__ = "pending_executions"
    __table_args__ = (
        Index("ix_pending_executions_suspect_id", "id", postgresql_where=text("is_suspect")),
        {"comment": "Executions that wait to be claimed, the oldest first."},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="Of an execution that is pending.")
    is_suspect: Mapped[bool] = mapped_column(
        comment="Whether it may be what its processes died of: it is run alone."
    )
