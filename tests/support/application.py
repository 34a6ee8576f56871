"""An application with settings of its own, in process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from app.main import create_app
from app.runtime import open_runtime
from app.settings import Settings


@asynccontextmanager
async def a_client_on(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of an application that runs on these settings until the block ends."""
    async with open_runtime(settings) as runtime:
        transport = httpx.ASGITransport(create_app(settings, runtime))
        async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
            yield client
