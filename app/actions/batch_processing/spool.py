"""Validated items on their way into the database, kept in a file and not in memory."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Self

from pydantic_core import from_json, to_json

from app.errors import NoRoomError
from app.stores.batch_items import SLICE, ItemRow, NewItem, row_of

IN_MEMORY = 1 << 20
"""Bytes of items for which no file is needed."""

SLICE_BYTES = 8 << 20
"""A slice of items ends where it has about so many bytes."""

RETRY_AFTER_S = 10.0


class Spool:
    """Takes items one by one, and gives them in slices as often as is asked.

    The file has no name: it ends with the spool, and with the process, however that ends. Raises
    NoRoomError where the disk is full.
    """

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by `__exit__`
        self.count = 0
        self.invalid = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        with _room():
            self._file.close()

    def add(self, item: NewItem) -> None:
        """Take an item; nothing is given before the last has come."""
        with _room():
            self._file.write(to_json(row_of(item)) + b"\n")
        self.count += 1
        self.invalid += item.error is not None

    def slices(self) -> Iterator[Sequence[bytes]]:
        """Give the items from the first on, as `rows_of` reads them; one slice at least.

        The last may be empty.
        """
        with _room():
            self._file.seek(0)
        kept, size, given = list[bytes](), 0, 0
        while given + len(kept) < self.count:
            kept.append(self._file.readline())
            size += len(kept[-1])
            if len(kept) == SLICE or size > SLICE_BYTES:
                yield kept
                kept, size, given = [], 0, given + len(kept)
        if kept or not given:
            yield kept


def rows_of(kept: Iterable[bytes]) -> Iterator[ItemRow]:
    """Read items of a slice, one by one: as rows they would need several times the memory."""
    return (ItemRow(*from_json(one)) for one in kept)


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NoRoomError(
            f"The items cannot be taken in: {error.strerror}.", retry_after_s=RETRY_AFTER_S
        ) from error
