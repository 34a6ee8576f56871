"""An application that asks for keys."""

from collections.abc import AsyncIterator

import httpx
import pytest

from app.main import create_app
from app.runtime import Runtime
from app.settings import AuthSettings, Settings


@pytest.fixture
async def keyed_client(settings: Settings, runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    """A client, without a key yet, of an application in process that asks for one."""
    keyed = settings.model_copy(update={"auth": AuthSettings(mode="keys")})
    transport = httpx.ASGITransport(create_app(keyed, runtime), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
        yield client
