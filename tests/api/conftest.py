"""An application that asks for keys."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from app.main import create_app
from app.runtime import Runtime
from app.settings import AuthSettings, Settings


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
