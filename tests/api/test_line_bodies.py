"""Bodies of JSON Lines, read as they come."""

from starlette.requests import Request
from starlette.types import Message

from app.api.line_bodies import LineBody
from app.settings import LimitsSettings
from tests.support.connection import a_scope

PIECE = 64


async def test_a_long_line_in_small_pieces_costs_no_more_than_its_length() -> None:
    """Four million characters, 64 at a time: copied with each piece, they would take minutes."""
    text = b'{"question": "' + b"a" * (4 << 20) + b'"}\n{"question": "b"}'
    starts = iter(range(0, len(text), PIECE))

    async def receive() -> Message:
        start = next(starts)
        piece, is_more = text[start : start + PIECE], start + PIECE < len(text)
        return {"type": "http.request", "body": piece, "more_body": is_more}

    body = LineBody(Request(a_scope("POST", "/"), receive), LimitsSettings())
    items = [item async for item in body.items()]
    assert [len(item.inputs["question"]) for item in items] == [4 << 20, 1]
    assert [item.at for item in items] == ["/lines/0", "/lines/1"]
