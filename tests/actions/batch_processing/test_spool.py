"""Items wait in a file until all are there, and come back in slices, as often as is asked."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.actions.batch_processing.spool import IN_MEMORY, SLICE_BYTES, Spool, rows_of
from app.errors import NoRoomError
from app.stores.batch_items import SLICE, ItemRow, NewItem

LARGE = "x" * (SLICE_BYTES // 2)


def test_items_come_back_as_rows() -> None:
    """In order, whatever is in them, twice if need be; those with errors are counted."""
    with Spool() as spool:
        spool.add(NewItem(3, "n\u2028e", {"a": "\x00\n\ud800"}))
        spool.add(NewItem(5, None, 7, {"type": "t"}))
        expected = [
            ItemRow(3, "n\u2028e", '{"a":"\ue0000000\\n\ue000d800"}', None),
            ItemRow(5, None, "7", '{"type":"t"}'),
        ]
        for _ in range(2):
            assert [[*rows_of(kept)] for kept in spool.slices()] == [expected]
        assert (spool.count, spool.invalid) == (2, 1)


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(0, [0]), (1, [1]), (SLICE, [SLICE]), (SLICE + 1, [SLICE, 1]), (2 * SLICE, [SLICE] * 2)],
)
def test_a_slice_has_so_many_items(count: int, sizes: list[int]) -> None:
    """The last has the rest, and there is always one."""
    with Spool() as spool:
        for index in range(count):
            spool.add(NewItem(index, None, {}))
        slices = [[row.item_index for row in rows_of(kept)] for kept in spool.slices()]
    assert [len(indexes) for indexes in slices] == sizes
    assert [index for indexes in slices for index in indexes] == list(range(count))


def test_a_slice_of_large_items_has_few() -> None:
    """So that memory does not grow with their size."""
    with Spool() as spool:
        for index in range(5):
            spool.add(NewItem(index, None, LARGE))
        assert [len(kept) for kept in spool.slices()] == [2, 2, 1]


@contextmanager
def files_of(most_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_without_room_is_told() -> None:
    """As such, and not as a fault of ours."""
    with Spool() as spool, files_of(2 * IN_MEMORY), pytest.raises(NoRoomError, match="taken in"):
        spool.add(NewItem(0, None, LARGE))
