"""JSON answers, in which every string of a record can be written."""

import asyncio
from contextlib import suppress
from typing import Any

from starlette import responses
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import override

from app.actions.json_text import json_bytes

LINGER_S = 1.0
"""How long what a client goes on to send is thrown away before its connection is closed."""


class JSONResponse(responses.JSONResponse):
    """RFC 8259 in UTF-8."""

    @override
    def render(self, content: Any) -> bytes:
        return json_bytes(content)


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
