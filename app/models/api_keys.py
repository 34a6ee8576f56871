"""Table `api_keys`."""

from datetime import datetime

from sqlalchemy import LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Instant


class ApiKey(Base):
    """What is kept of a key: everything but its secret."""

    __tablename__ = "api_keys"
    __table_args__ = ({"comment": "Who may call. The keys themselves are kept nowhere."},)

    id: Mapped[str] = mapped_column(primary_key=True, comment="The 8 characters after dsp_.")
    name: Mapped[str] = mapped_column(comment="Whose it is; two keys of one name are a rotation.")
    scopes: Mapped[list[str]] = mapped_column(
        ARRAY(Text()), comment="Of read, execute, manage and admin."
    )
    secret_hash: Mapped[bytes] = mapped_column(
        LargeBinary, comment="SHA-256 of what stands after the id."
    )
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime | None] = mapped_column(Instant, comment="Null: never.")
    last_used_at: Mapped[datetime | None] = mapped_column(
        Instant, comment="Written every half minute at most."
    )
    revoked_at: Mapped[datetime | None] = mapped_column(
        Instant, comment="Refused everywhere five seconds later."
    )
