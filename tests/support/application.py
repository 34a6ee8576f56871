"""An application with settings of its own, in process: called, or served from a thread."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from threading import Event

import httpx
import uvicorn

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


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """Serve an application on these settings from a thread until the block ends; give its address.

    For clients that run an event loop of their own, as commands do.
    """
    with ThreadPoolExecutor(1) as pool, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        ready, server = Event(), list[uvicorn.Server]()
        serving = pool.submit(asyncio.run, _serve(settings, listener, ready, server))
        try:
            while not ready.wait(0.1):
                if serving.done():
                    serving.result()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for one in server:
                one.should_exit = True
            serving.result()


async def _serve(
    settings: Settings, listener: socket.socket, ready: Event, served_by: list[uvicorn.Server]
) -> None:
    async with open_runtime(settings) as runtime:
        app = create_app(settings, runtime)
        config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False)
        served_by.append(uvicorn.Server(config))
        listener.listen()
        ready.set()
        await served_by[0].serve(sockets=[listener])
