"""Files become the lines of an upload, and commands show their key."""

import json
from pathlib import Path

import pytest

from app.commands.batch_files import CHUNK, ROWS, lines_of
from app.commands.client import a_client
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
    rows = [f'"a, ""{number}""",' for number in range(ROWS + 1)]
    path.write_text("\n".join(["\ufeffquestion,n", *rows, "é,5"]), encoding="utf-8")
    pieces = list(lines_of(path))
    items = [json.loads(line) for piece in pieces for line in piece.splitlines()]
    assert [piece.count(b"\n") for piece in pieces] == [ROWS, 2]
    assert items[0] == {"question": 'a, "0"'}
    assert items[-1] == {"question": "é", "n": "5"}


async def test_a_command_shows_the_key_that_stands_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """And none where there is none."""
    async with a_client("http://dspatch") as client:
        assert "authorization" not in client.headers
    monkeypatch.setenv(CLIENT_KEY, "dsp_x")
    async with a_client("http://dspatch") as client:
        assert client.headers["authorization"] == "Bearer dsp_x"
