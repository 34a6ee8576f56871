"""What stores say of rows that they removed or mended.

A statement that removes a slice has its keys in an array, which is made once: the planner may look
for the rows of `IN (SELECT … LIMIT …)` again for each row of the table, where its figures are off.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, literal_column

from app.models import Base


class Removed(NamedTuple):
    """So many rows, and the bytes that they took."""

    rows: int
    bytes_freed: int = 0


def bytes_of(model: type[Base]) -> ColumnElement[Any]:
    """Give the size of a row, for a statement that removes it."""
    return func.pg_column_size(literal_column(model.__tablename__))


def removed(sizes: Iterable[int]) -> Removed:
    """Add up rows by their sizes."""
    each = list(sizes)
    return Removed(len(each), sum(each))
