import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.database import Database
from app.errors import InvalidRequestError
from app.stores.executions import ExecutionFilter
from app.stores.pages import Page, Paged, _decode, _encode
from app.stores.transaction import Transaction
from tests.stores.rows import a_program, a_signature, an_execution, rising_ids

Add = Callable[[Transaction, UUID], Awaitable[Any]]
ListPage = Callable[[Transaction, Page], Awaitable[Paged[Any]]]

LISTS: dict[str, tuple[Add, ListPage]] = {
    "signatures": (
        lambda tx, row_id: a_signature(tx, id=row_id),
        lambda tx, page: tx.signatures.list_page(page),
    ),
    "programs": (
        lambda tx, row_id: a_program(tx, id=row_id),
        lambda tx, page: tx.programs.list_page(page),
    ),
    "executions": (
        lambda tx, row_id: an_execution(tx, id=row_id),
        lambda tx, page: tx.executions.list_page(page, ExecutionFilter()),
    ),
}

every_list = pytest.mark.parametrize(("add", "list_page"), LISTS.values(), ids=LISTS)


async def pages(database: Database, list_page: ListPage, limit: int) -> AsyncIterator[list[UUID]]:
    """Walk through a list, a transaction for each page."""
    cursor = None
    while True:
        async with database.transaction() as tx:
            page = await list_page(tx, Page(limit, cursor))
        yield [row.id for row in page.items]
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


async def add_all(database: Database, add: Add, ids: Sequence[UUID]) -> None:
    """Add rows with these ids."""
    async with database.transaction() as tx:
        for row_id in ids:
            await add(tx, row_id)


@every_list
@pytest.mark.parametrize("limit", [1, 3, 7, 8, 200])
async def test_pages_give_every_row_once_newest_first(
    database: Database, add: Add, list_page: ListPage, limit: int
) -> None:
    """Pages of any length put together are the whole list, and the last says that it is."""
    ids = [row_id for row_id, _ in zip(rising_ids(), range(8), strict=False)]
    await add_all(database, add, ids)
    found = [page async for page in pages(database, list_page, limit)]
    assert [row_id for page in found for row_id in page] == ids[::-1]
    assert all(len(page) == limit for page in found[:-1])
    assert found[-1]


@every_list
async def test_rows_that_arrive_shift_no_page(
    database: Database, add: Add, list_page: ListPage
) -> None:
    """While newer rows arrive, pages neither skip nor repeat a row that was there before."""
    coming = rising_ids()
    ids = [next(coming) for _ in range(20)]
    await add_all(database, add, ids)
    found = []
    async for page in pages(database, list_page, 3):
        found += page
        await add_all(database, add, [next(coming) for _ in range(4)])
    assert found == ids[::-1]


@every_list
@pytest.mark.usefixtures("add")
async def test_an_empty_list_is_one_empty_page(database: Database, list_page: ListPage) -> None:
    """With no rows there is a page without items, and no other."""
    assert [page async for page in pages(database, list_page, 5)] == [[]]


@given(st.uuids())
def test_a_cursor_leads_to_where_it_came_from(last: UUID) -> None:
    """Every id has a cursor of its own, fit for a URL."""
    cursor = _encode(last)
    assert _decode(cursor) == last
    assert cursor.replace("-", "").replace("_", "").isalnum()


GOOD = _encode(UUID(int=7 << 64))


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "garbage",
        "!",
        "\x00",
        "é" * 22,
        "٣" * 22,
        "\ud800" * 22,
        base64.urlsafe_b64encode(b"x" * 15).decode(),
        base64.urlsafe_b64encode(b"x" * 17).decode(),
        "A",
        "A" * 1_000,
        f"{GOOD}==",
        f" {GOOD}",
        f"{GOOD[:5]}!{GOOD[5:]}",
        f"{GOOD[:-1]}B",
        "00000000-0000-0000-0000-000000000000",
    ],
    ids=ascii,
)
@every_list
@pytest.mark.usefixtures("add")
async def test_what_is_no_cursor_is_refused_with_its_place(
    database: Database, list_page: ListPage, cursor: str
) -> None:
    """A cursor that no list gave is the client's fault, told by name."""
    async with database.transaction() as tx:
        with pytest.raises(InvalidRequestError) as refused:
            await list_page(tx, Page(cursor=cursor))
    (fault,) = refused.value.faults
    assert (fault.path, fault.code) == ("/query/cursor", "cursor")


@given(st.text())
def test_any_text_is_a_cursor_or_refused(cursor: str) -> None:
    """No text at all is more than refused."""
    try:
        last = _decode(cursor)
    except InvalidRequestError:
        return
    assert _encode(last) == cursor
