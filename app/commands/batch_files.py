"""Files out of which batches are made: JSON Lines as they are, CSV and Parquet row by row."""

import base64
import csv
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import orjson
import typer
from pydantic_core import to_jsonable_python

from app.commands.console import RefusedError

CHUNK = 1 << 16
ROWS = 500
"""As many rows are sent together."""

Row: TypeAlias = Mapping[str, Any]


def _json_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _csv(path: Path) -> Iterator[bytes]:
    """Each row is the inputs of an item, by the names in the head; what is empty is left out."""
    csv.field_size_limit(sys.maxsize)  # whose length the server judges
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows, reader = list[Row](), csv.DictReader(file)
        for row in reader:
            if None in row:
                raise ValueError(f"line {reader.line_num} has more values than the head has names")
            rows.append({name: value for name, value in row.items() if value})
            if len(rows) == ROWS:
                yield _lines(rows)
                rows = []
        yield _lines(rows)


def _parquet(path: Path) -> Iterator[bytes]:
    """Each row is the inputs of an item, by the names of the columns; what is null is left out."""
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise typer.BadParameter(
            f'{path.name} is read by pyarrow, which is not here: pip install "dspatch[parquet]".'
        ) from None
    return _parquet_rows(parquet, path)


def _parquet_rows(parquet: ModuleType, path: Path) -> Iterator[bytes]:
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS):
            rows: list[Row] = batch.to_pylist(maps_as_pydicts="strict")
            yield _lines(
                {name: value for name, value in row.items() if value is not None} for row in rows
            )


def _lines(rows: Iterable[Row]) -> bytes:
    return b"".join(orjson.dumps(row, _as_json, orjson.OPT_APPEND_NEWLINE) for row in rows)


def _as_json(value: Any) -> Any:
    """Give what a column has that JSON has not: bytes as base64, a decimal as its digits."""
    return (
        base64.b64encode(value).decode() if isinstance(value, bytes) else to_jsonable_python(value)
    )


KINDS: Mapping[str, Callable[[Path], Iterator[bytes]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _csv,
    ".parquet": _parquet,
}


def lines_of(path: Path) -> Iterator[bytes]:
    """Give the lines of an upload, piece by piece; the file's kind is that of its name.

    RefusedError amid them where the file is not what it is called.
    """
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise typer.BadParameter(f"{path.name} is none of {', '.join(KINDS)}")
    return _plainly(path, kind(path))


def _plainly(path: Path, pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    except (OSError, ValueError, csv.Error) as error:
        raise RefusedError(f"{path.name} cannot be read: {error}") from None
