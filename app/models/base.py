"""What every table shares: its metadata, the names of its constraints, its column types."""

from sqlalchemy import MetaData, Text
from sqlalchemy.dialects.postgresql import JSON, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

Document = JSON(none_as_null=True)
"""A JSON value as text: `jsonb` would turn 1e23 into an integer and forget the order of members."""

Instant = TIMESTAMP(timezone=True)
"""A point in time, aware."""


class Base(DeclarativeBase):
    """The parent of every table."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {str: Text()}  # noqa: RUF012 - SQLAlchemy's own shape
