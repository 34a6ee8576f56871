"""Which rows of a slice go, and what stores say of those that they removed or mended."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, literal_column

from app.models import Base


class Removed(NamedTuple):
    """So many rows, and the bytes that they took."""

    rows: int
    bytes_freed: int = 0


def is_among(key: ColumnElement[Any], chosen: Select[Any]) -> ColumnElement[bool]:
    """Say that a key is one of a slice, which is selected once, into an array.

    Where its figures of a table are off, the planner may select `IN (SELECT … LIMIT …)` again for
    each row of it; statements in text write `= ANY(ARRAY(SELECT …))` for the same reason.
    """
    is_among: ColumnElement[bool] = key == func.any(func.array(chosen.scalar_subquery()))
    return is_among


def bytes_of(model: type[Base]) -> ColumnElement[Any]:
    """Give the size of a row, for a statement that removes it."""
    return func.pg_column_size(literal_column(model.__tablename__))


def removed(sizes: Iterable[int]) -> Removed:
    """Add up rows by their sizes."""
    each = list(sizes)
    return Removed(len(each), sum(each))
