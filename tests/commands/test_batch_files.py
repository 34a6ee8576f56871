"""Files become the lines of an upload, and commands show their key."""

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import typer
from pyarrow import parquet

from app.commands.batch_files import CHUNK, ROWS, lines_of
from app.commands.client import a_client
from app.commands.console import RefusedError
from app.settings import CLIENT_KEY


@pytest.mark.parametrize("name", ["rows.jsonl", "ROWS.NDJSON"])
def test_json_lines_are_sent_as_they_are(tmp_path: Path, name: str) -> None:
    """Whatever is in them: the server says what is wrong."""
    path, content = tmp_path / name, b"\xff\n" * CHUNK
    path.write_bytes(content)
    assert b"".join(lines_of(path)) == content


def test_each_row_of_a_table_is_inputs(tmp_path: Path) -> None:
    """By the names in its head; what is empty is left out, and many rows are sent bit by bit."""
    path = tmp_path / "rows.csv"
    rows = [f'"a, ""{number}""",' for number in range(ROWS)] + ["x" * 200_000]
    path.write_text("\n".join(["\ufeffquestion,n", *rows, "é,5"]), encoding="utf-8")
    pieces = list(lines_of(path))
    items = [json.loads(line) for piece in pieces for line in piece.splitlines()]
    assert [piece.count(b"\n") for piece in pieces] == [ROWS, 2]
    assert items[ROWS] == {"question": "x" * 200_000}
    assert items[0] == {"question": 'a, "0"'}
    assert items[-1] == {"question": "é", "n": "5"}


def test_each_row_of_a_parquet_file_is_inputs(tmp_path: Path) -> None:
    """Types become JSON's; what is null is left out, what is empty stays; pieces are small."""
    path, when = tmp_path / "rows.Parquet", datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    given: dict[str, list[Any]] = {
        "question": ["", "é"],
        "n": [2**63 - 1, None],
        "tags": [["a", "b"], []],
        "meta": [{"x": 1, "y": None}, None],
        "blob": [b"\xff\xfe", None],
        "price": [Decimal("1.50"), None],
        "at": [when, None],
        "score": [float("nan"), 0.5],
    }
    filler = [{"question": "f"}] * ROWS
    parquet.write_table(
        pa.concat_tables(
            [pa.table(given), pa.Table.from_pylist(filler)], promote_options="default"
        ),
        path,
        row_group_size=100,
    )
    pieces = list(lines_of(path))
    items = [json.loads(line) for piece in pieces for line in piece.splitlines()]
    assert items[0] == {
        "question": "",
        "n": 2**63 - 1,
        "tags": ["a", "b"],
        "meta": {"x": 1, "y": None},
        "blob": "//4=",
        "price": "1.50",
        "at": "2026-03-02T09:30:00+00:00",
        "score": None,
    }
    assert items[1] == {"question": "é", "tags": [], "score": 0.5}
    assert items[2:] == filler
    assert max(piece.count(b"\n") for piece in pieces) <= ROWS


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("rows.parquet", b"question\na\n", "Parquet magic bytes not found"),
        ("rows.csv", b"question\n\xff\n", "can't decode byte 0xff"),
        ("rows.csv", b"question\na,b\n", "line 2 has more values than the head has names"),
    ],
)
def test_a_file_that_is_not_what_it_is_called_is_refused(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    """In a sentence with its name."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RefusedError, match=f"^{name} cannot be read: .*{told}"):
        list(lines_of(path))


def test_without_its_library_a_parquet_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is done, and what to install is said."""
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(typer.BadParameter, match=r'pip install "dspatch\[parquet\]"'):
        lines_of(tmp_path / "rows.parquet")


async def test_a_command_shows_the_key_that_stands_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """And none where there is none."""
    async with a_client("http://dspatch") as client:
        assert "authorization" not in client.headers
    monkeypatch.setenv(CLIENT_KEY, "dsp_x")
    async with a_client("http://dspatch") as client:
        assert client.headers["authorization"] == "Bearer dsp_x"
