"""Keyset pages: newest first, each page as cheap as the first."""

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select

from app.errors import Fault, InvalidRequestError

T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    """How much of a list is asked for: at most `limit` rows, those older than `cursor`."""

    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True)
class Paged(Generic[T]):
    """One page of a list; `next_cursor` is None on the last."""

    items: Sequence[T]
    next_cursor: str | None


def on_page(query: Select[Any], key: ColumnElement[UUID], page: Page) -> Select[Any]:
    """Cut a query to one page and the row that tells whether another follows."""
    if page.cursor is not None:
        query = query.where(key < _decode(page.cursor))
    return query.order_by(key.desc()).limit(page.limit + 1)


def on_rising_page(query: Select[Any], key: ColumnElement[UUID], page: Page) -> Select[Any]:
    """Cut a query as `on_page` does, but for a list that begins with the lowest key."""
    if page.cursor is not None:
        query = query.where(key > _decode(page.cursor))
    return query.order_by(key).limit(page.limit + 1)


def paged(rows: Sequence[T], page: Page, id_of: Callable[[T], UUID] = attrgetter("id")) -> Paged[T]:
    """Make the page out of what `on_page` selected."""
    return page_with(rows[: page.limit], id_of, has_next=len(rows) > page.limit)


def page_with(items: Sequence[T], id_of: Callable[[T], UUID], *, has_next: bool) -> Paged[T]:
    """Make a page of these items."""
    return Paged(items, _encode(id_of(items[-1])) if has_next else None)


def page_of(found: Iterable[T], page: Page, id_of: Callable[[T], UUID]) -> Paged[T]:
    """Cut a page out of what is all at hand; InvalidRequestError where the cursor is none."""
    rows = sorted(found, key=id_of, reverse=True)
    if page.cursor is not None:
        last = _decode(page.cursor)
        rows = [row for row in rows if id_of(row) < last]
    return paged(rows, page, id_of)


def _encode(last: UUID) -> str:
    return base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")


def _decode(cursor: str) -> UUID:
    try:
        last = UUID(bytes=base64.urlsafe_b64decode(cursor + "=="))
    except ValueError:
        last = None
    # Base64 is read leniently: only what we would write is one of ours.
    if last is None or _encode(last) != cursor:
        fault = Fault("/query/cursor", "cursor", "cursor is not one that a list gave")
        raise InvalidRequestError("The cursor is not valid.", faults=[fault])
    return last
