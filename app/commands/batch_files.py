"""Files out of which batches are made: JSON Lines as they are, CSV row by row."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

import typer

CHUNK = 1 << 16
ROWS = 500
"""As many rows are sent together."""


def _json_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _csv(path: Path) -> Iterator[bytes]:
    """Each row is the inputs of an item, by the names in the head; what is empty is left out."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        yield from _lines(file)


def _lines(file: IO[str]) -> Iterator[bytes]:
    lines = list[str]()
    for row in csv.DictReader(file):
        lines.append(json.dumps({name: value for name, value in row.items() if value}))
        if len(lines) == ROWS:
            yield _joined(lines)
            lines = []
    yield _joined(lines)


def _joined(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


KINDS: Mapping[str, Callable[[Path], Iterator[bytes]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _csv,
}


def lines_of(path: Path) -> Iterator[bytes]:
    """Give the lines of an upload, piece by piece; the file's kind is that of its name."""
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise typer.BadParameter(f"{path.name} is none of {', '.join(KINDS)}")
    return kind(path)
