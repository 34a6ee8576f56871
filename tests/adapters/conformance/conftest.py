"""Runs the suite on one event loop, so that its tests can share a child process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pytest_asyncio import is_async_test

from tests.adapters.conformance.harness import SHARED_WORKER

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put every test of this folder on the loop of the session, where its fixtures are."""
    for item in items:
        if HERE in item.path.parents and is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(loop_scope="session", scope="session", autouse=True)
async def _shared_worker() -> AsyncIterator[None]:
    """End the child that the tests share, at the end of all."""
    yield
    await SHARED_WORKER.close()
