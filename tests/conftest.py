"""The database of the tests: a template migrated once, a clone per worker, emptied by DELETE."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import hypothesis
import pytest
from fastapi import FastAPI
from filelock import FileLock
from pydantic import SecretStr

from app.database import Database
from app.local.postgres import LocalPostgres
from app.main import create_app
from app.models import Base
from app.runtime import Runtime, open_runtime
from app.settings import AuthSettings, DatabaseSettings, Settings, WorkerSettings
from tests.support.spans import ToldSpans, collecting_spans
from tests.support.wait import written

TEMPLATE = "template_dspatch"

ENGINE_TABLES = ("procrastinate_jobs", "procrastinate_workers")
"""The job engine's, which are no models of ours."""

# How long an example may take says more of the machine than of us; each test has its time limit.
# The same examples each time: what they run of the code is measured. To look for others, run
# pytest with `--hypothesis-profile search`.
hypothesis.settings.register_profile("dspatch", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.register_profile("search", deadline=None, max_examples=200)
hypothesis.settings.load_profile("dspatch")


def pytest_testnodeready(node: Any) -> None:
    """Give a worker of pytest-xdist the time to save its coverage before it is killed.

    It has 10 seconds, in which a busy machine does not end a process of this size.
    """
    node.nodemanager.EXIT_TIMEOUT = 60


@pytest.fixture(autouse=True, scope="session")
def _clean_environment() -> None:
    """No setting of the machine reaches a test."""
    for name in list(os.environ):
        if name.startswith(("DSPATCH_", "OPENAI_", "OTEL_")):
            del os.environ[name]


@pytest.fixture(scope="session")
def postgres(testrun_uid: str) -> Iterator[LocalPostgres]:
    """The embedded PostgreSQL, shared by all workers of the run, with a migrated template."""
    folder = Path(tempfile.gettempdir()) / f"dspatch-tests-{testrun_uid}"
    server = LocalPostgres(folder)
    asyncio.run(server.start())
    with FileLock(folder / "template.lock"):
        asyncio.run(_make_template(server))
    yield server
    asyncio.run(server.stop())
    if not (folder / "postgres" / "postmaster.pid").exists():
        shutil.rmtree(folder, ignore_errors=True)


async def _make_template(server: LocalPostgres) -> None:
    await server.ensure_database(TEMPLATE)
    settings = DatabaseSettings(url=SecretStr(server.url(TEMPLATE)))
    await Database.migrate(settings)
    database = Database.connect(settings)
    async with database.transaction() as tx:
        await tx.partitions.ensure(4)
    await database.close()


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[LocalPostgres]:
    """A server that tests may stop and start as they like."""
    with tempfile.TemporaryDirectory(prefix="dspatch-test-") as folder:
        server = LocalPostgres(Path(folder) / "data")
        asyncio.run(server.start())
        yield server
        asyncio.run(server.stop())


@pytest.fixture(scope="session")
def new_database(postgres: LocalPostgres) -> Callable[[str], Coroutine[None, None, str]]:
    """Clone the template under a name and give the clone's address."""

    async def clone(name: str) -> str:
        connection = await asyncpg.connect(postgres.url("postgres"))
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        await connection.close()
        return postgres.url(name)

    return clone


@pytest.fixture(scope="session")
def database_url(new_database: Callable[[str], Coroutine[None, None, str]], worker_id: str) -> str:
    """The address of this worker's database."""
    return asyncio.run(new_database(f"dspatch_{worker_id}"))


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Settings on this worker's database, without keys, and without work in the background."""
    return Settings(
        database=DatabaseSettings(url=SecretStr(database_url)),
        auth=AuthSettings(mode="none"),
        worker=WorkerSettings(embedded=False),
    )


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """This worker's database, emptied after the test."""
    database = Database.connect(settings.database)
    yield database
    await written()
    await database.close()
    names = [*ENGINE_TABLES, *(table.name for table in reversed(Base.metadata.sorted_tables))]
    connection = await asyncpg.connect(settings.database.url.get_secret_value())  # type: ignore[union-attr]
    await connection.execute(
        "; ".join(
            f"DELETE FROM {name}"  # noqa: S608 - our own tables
            for name in names
        )
    )
    await connection.close()


@pytest.fixture
async def runtime(settings: Settings, database: Database) -> AsyncIterator[Runtime]:  # noqa: ARG001 - emptied after us
    """The whole graph, on the test's database."""
    async with open_runtime(settings) as runtime:
        yield runtime


@pytest.fixture(scope="session")
def app() -> FastAPI:
    """The application: its routes take a while to build, so that each test lends it a runtime."""
    return create_app(Settings())


@pytest.fixture
async def client(
    app: FastAPI, settings: Settings, runtime: Runtime
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, in process."""
    app.state.settings, app.state.runtime = settings, runtime
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
        yield client


@pytest.fixture
def spans() -> Iterator[ToldSpans]:
    """The spans that the test's work tells."""
    with collecting_spans() as told:
        yield told
