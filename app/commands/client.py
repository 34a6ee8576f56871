"""How a command speaks to a server."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import typer

from app.commands.console import RefusedError
from app.settings import CLIENT_KEY

Server = Annotated[
    str,
    typer.Option("--server", help=f"Address of the server; a key is taken from {CLIENT_KEY}."),
]
DEFAULT_SERVER = "http://127.0.0.1:8000"

CONNECT_S = 10.0


@asynccontextmanager
async def a_client(server: str) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client, which waits as long as answers take; RefusedError where there is no server."""
    key = os.environ.get(CLIENT_KEY)
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    timeout = httpx.Timeout(None, connect=CONNECT_S)
    try:
        async with httpx.AsyncClient(base_url=server, headers=headers, timeout=timeout) as client:
            yield client
    except (httpx.TransportError, httpx.InvalidURL) as error:
        why = str(error) or type(error).__name__
        raise RefusedError(f"{server} cannot be spoken to: {why}") from None
