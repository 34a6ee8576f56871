"""Table `processes`: who runs executions, and when each of them was last heard of."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Document, Instant


class Process(Base):
    """A process of Dspatch; executions that run name theirs in `owner_id`.

    A row that has ended stays for a day, for people; nobody beats on it again.
    """

    __tablename__ = "processes"
    __table_args__ = ({"comment": "Processes of Dspatch, alive where ended_at is null."},)

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7, the owner of executions.")
    kind: Mapped[str] = mapped_column(comment="serve or worker.")
    host: Mapped[str] = mapped_column(comment="The machine's name, the pod's on Kubernetes.")
    pid: Mapped[int] = mapped_column(comment="The number that the machine gave it.")
    version: Mapped[str] = mapped_column(comment="The version of Dspatch.")
    started_at: Mapped[datetime] = mapped_column(Instant)
    heartbeat_at: Mapped[datetime] = mapped_column(
        Instant, comment="When it was last heard of, on the database's clock."
    )
    ended_at: Mapped[datetime | None] = mapped_column(
        Instant, comment="When it left, or was found silent and given up."
    )
    lm_children: Mapped[dict[str, int]] = mapped_column(
        Document,
        server_default="{}",
        comment="How many of its child processes hold a program of an LM, by the LMs' names.",
    )
