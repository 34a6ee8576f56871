"""The composition root: what it opens, what it refuses, and how it closes."""

import asyncio
import zlib
from collections.abc import Callable, Coroutine
from dataclasses import fields

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from typing_extensions import override

from app.actions.program_execution import ProgramExecutionInput
from app.database import Database, SchemaError
from app.errors import DatabaseUnavailableError
from app.main import create_app
from app.models.weeks import Week
from app.policies.clock import SystemClock
from app.runtime import WARM_UP, Runtime, open_runtime
from app.runtime.base import PARTITIONS_EVERY_S
from app.settings import AdapterSettings, DatabaseSettings, Settings, SettingsError
from app.stores.partitions import WEEKS_AHEAD
from tests.support.factories import QUESTION, a_program, the_record
from tests.support.wait import wait_until


@pytest.fixture
async def own_url(
    new_database: Callable[[str], Coroutine[None, None, str]], request: pytest.FixtureRequest
) -> str:
    """The address of a database of the test's own, at head."""
    return await new_database(f"runtime_{zlib.crc32(request.node.name.encode())}")


def _on(url: str) -> Settings:
    return Settings(database=DatabaseSettings(url=SecretStr(url)))


async def _asked(url: str, query: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def _partitions(url: str) -> list[str]:
    query = (
        "SELECT inhrelid::regclass::text FROM pg_inherits"
        " WHERE inhparent = 'executions'::regclass ORDER BY 1"
    )
    return await _asked(url, query)


class _Bell(SystemClock):
    """The machine's clock, but a sleep lasts until the bell is rung."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.rung = asyncio.Event()

    @override
    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.rung.wait()
        self.rung.clear()


async def test_a_runtime_has_all_its_parts(runtime: Runtime) -> None:
    """Everything that a route may ask for is there, and the adapters warm up by themselves."""
    assert all(getattr(runtime, field.name) is not None for field in fields(runtime))
    assert {"mock", "dspy"} <= set(runtime.adapters.names())
    await wait_until(lambda: runtime.background.is_done(WARM_UP))


async def test_the_partitions_of_the_coming_weeks_are_made(own_url: str) -> None:
    """At the start, and about once an hour from then on."""

    def rounds() -> int:
        return sum(0.75 <= pause / PARTITIONS_EVERY_S <= 1.25 for pause in clock.slept)

    wanted = [week.partition for week in Week.of(SystemClock().now()).and_following(WEEKS_AHEAD)]
    await _asked(own_url, f"DROP TABLE {wanted[-1]}")
    clock = _Bell()
    async with open_runtime(_on(own_url), clock=clock):
        assert set(await _partitions(own_url)) >= set(wanted)
        await wait_until(lambda: rounds() == 1)
        await _asked(own_url, f"DROP TABLE {wanted[-1]}")
        assert wanted[-1] not in await _partitions(own_url)
        clock.rung.set()
        await wait_until(lambda: rounds() == 2)
        assert set(await _partitions(own_url)) >= set(wanted)


async def test_a_closed_runtime_leaves_no_connection(own_url: str) -> None:
    """Nor a task."""
    others = (
        "SELECT pid::text FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    before = asyncio.all_tasks()
    async with open_runtime(_on(own_url)) as runtime:
        await runtime.database.ping()
        assert await _asked(own_url, others) != []
        engine = runtime.database._engine
    assert asyncio.all_tasks() == before
    assert engine.pool.checkedin() == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_a_runtime_that_closes_ends_its_records(
    settings: Settings, database: Database, *, is_cancelled: bool
) -> None:
    """A run that is under way when the process stops is recorded before the pool goes."""
    mock = AdapterSettings(kind="mock", latency_ms=7_000)
    slow = settings.model_copy(update={"adapters": {"scripted": mock}})
    program = await a_program(database)
    clock = _Bell()
    async with open_runtime(slow, clock=clock) as runtime:
        wanted = ProgramExecutionInput(program.id, QUESTION)
        run = asyncio.create_task(runtime.execute_program(wanted))
        await wait_until(lambda: 7 in clock.slept)
        if is_cancelled:
            run.cancel()
    record = await the_record(database, program)
    assert (record.status, record.outcome) == ("cancelled", "cancelled")
    assert run.cancelled()


async def test_a_schema_that_is_not_at_head_is_refused(own_url: str) -> None:
    """The message says what to do."""
    await _asked(own_url, "DELETE FROM alembic_version")
    with pytest.raises(SchemaError, match="dspatch migrate"):
        async with open_runtime(_on(own_url)):
            pass


async def test_a_database_that_is_away_is_refused() -> None:
    """A start without a database fails at once, and says so."""
    with pytest.raises(DatabaseUnavailableError):
        async with open_runtime(_on("postgresql://nobody@127.0.0.1:1/nothing")):
            pass


async def test_an_adapter_that_cannot_be_built_is_refused(settings: Settings) -> None:
    """Before anything is opened."""
    wrong = settings.model_copy(update={"adapters": {"a": AdapterSettings(kind="wat")}})
    with pytest.raises(SettingsError, match=r"adapters\.a: there is no kind 'wat'"):
        async with open_runtime(wrong):
            pass


async def test_an_application_opens_and_closes_a_runtime_of_its_own(
    settings: Settings, database: Database
) -> None:
    """Where it is given none, its lifespan brings one; a server drives it by messages."""
    app = create_app(settings)
    assert app.state.runtime is None
    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    living = asyncio.create_task(app({"type": "lifespan"}, inbox.get, outbox.put))  # type: ignore[arg-type]
    await inbox.put({"type": "lifespan.startup"})
    assert await outbox.get() == {"type": "lifespan.startup.complete"}
    program = await a_program(database, adapter="mock")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
        answer = await client.post(
            f"/v1/programs/{program.id}/executions", json={"inputs": QUESTION}
        )
    assert answer.status_code == 200
    await inbox.put({"type": "lifespan.shutdown"})
    assert await outbox.get() == {"type": "lifespan.shutdown.complete"}
    await living
