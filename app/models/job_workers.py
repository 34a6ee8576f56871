"""Table `job_workers`: who takes jobs of the engine, and in which process."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Instant


class JobWorker(Base):
    """A worker of the engine, by the number that the engine gave it.

    It lives as long as its row is there and its process lives: the engine's own heartbeat comes
    from the event loop, and a loop that is blocked is not dead.
    """

    __tablename__ = "job_workers"
    __table_args__ = (
        {"comment": "Who takes jobs of the engine, and in which process; alive as long as that."},
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    process_id: Mapped[UUID] = mapped_column()
    queue: Mapped[str] = mapped_column()
    started_at: Mapped[datetime] = mapped_column(Instant)
