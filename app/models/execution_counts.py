"""Table `execution_counts`: ended executions that are not yet in their program's counter."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Identity
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Instant


class ExecutionCount(Base):
    """What one write adds to a program's counter.

    It is appended and folded in later, so that writes do not fight over the program's row.
    """

    __tablename__ = "execution_counts"
    __table_args__ = (
        {"comment": "Ended executions that are not yet folded into programs.execution_count."},
    )

    program_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    ended: Mapped[int] = mapped_column(comment="Executions that ended in one write.")
    last_ended_at: Mapped[datetime] = mapped_column(Instant)
