"""JSON answers, in which every string of a record can be written."""

import asyncio
import json
from contextlib import suppress
from typing import Any

from pydantic_core import to_json
from starlette import responses
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import override

LINGER_S = 1.0
"""How long what a client goes on to send is thrown away before its connection is closed."""


class JSONResponse(responses.JSONResponse):
    """RFC 8259 in UTF-8; half a surrogate pair, which has no UTF-8, is written as its escape."""

    @override
    def render(self, content: Any) -> bytes:
        return json_bytes(content)


def json_bytes(content: Any) -> bytes:
    """Write a value as RFC 8259 says, in one line."""
    try:
        return to_json(content, inf_nan_mode="strings")
    except ValueError:
        return json.dumps(content, allow_nan=False, default=_plain).encode()


def _plain(value: Any) -> Any:
    """Write what is no JSON, an id or a time, as the fast way writes it."""
    return json.loads(to_json(value))


class LastResponse(JSONResponse):
    """An answer that ends its connection, given before the request's body has been read.

    Closing while bytes come in resets the connection, and the reset can overtake the answer. So
    the answer goes out whole, and what still comes is thrown away: to its end, or for LINGER_S.
    """

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers["Connection"] = "close"

        async def send_unfinished(message: Message) -> None:
            await send({**message, "more_body": True} if "body" in message else message)

        await super().__call__(scope, receive, send_unfinished)
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while (await receive()).get("more_body", False):
                    pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})
