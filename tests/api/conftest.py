"""An application that asks for keys, and another process that works."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from app.main import create_app
from app.runtime import Runtime, open_runtime
from app.settings import AuthSettings, Settings, WorkerSettings


@pytest.fixture
def keyed_app(settings: Settings, runtime: Runtime) -> FastAPI:
    """The application, asking for keys."""
    keyed = settings.model_copy(update={"auth": AuthSettings(mode="keys")})
    return create_app(keyed, runtime)


@pytest.fixture
async def keyed_client(keyed_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client, without a key yet, of that application in process."""
    transport = httpx.ASGITransport(keyed_app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
        yield client


@pytest.fixture
async def working(settings: Settings, runtime: Runtime) -> AsyncIterator[Runtime]:  # noqa: ARG001 - as a neighbour
    """Another process, which works."""
    worker = settings.model_copy(update={"worker": WorkerSettings()})
    async with open_runtime(worker) as neighbour:
        yield neighbour
