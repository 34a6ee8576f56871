import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from app.database import Database
from app.errors import DatabaseUnavailableError, ExecutionNotFoundError
from app.local.postgres import LocalPostgres
from app.settings import DatabaseSettings
from app.stores.recorder.writes import End
from tests.stores.recorder.conftest import LEFT, PATIENCE_S, Recording, a_row
from tests.stores.rows import an_ending
from tests.support.proxy import Proxy
from tests.support.wait import wait_until, written

Held = Callable[[], Any]


def _is_done(answer: bytes) -> bool:
    """Tell the answer to a statement that was committed: its tag and that the server is ready."""
    return b"SELECT 1\x00" in answer


def _is_bound(request: bytes) -> bool:
    """Tell a request that executes a statement with values."""
    return b"question" in request or b"success" in request


@pytest.mark.parametrize("is_committed", [True, False], ids=["committed", "lost"])
async def test_a_beginning_of_unknown_outcome_is_resolved(
    behind: tuple[Proxy, Recording], *, is_committed: bool
) -> None:
    """Whether it was committed or never arrived, the record is there once, and the caller knows."""
    proxy, recording = behind
    await recording.begin()
    if is_committed:
        proxy.cuts_answer = _is_done
    else:
        proxy.cuts_request = _is_bound
    row = a_row()
    at = await recording.recorder.begin(row, LEFT, PATIENCE_S)
    assert proxy.cuts == 1
    record = await recording.record(row["id"])
    assert (record.status, record.created_at) == ("running", at)
    assert recording.connects == 2


@pytest.mark.parametrize("is_committed", [True, False], ids=["committed", "lost"])
async def test_an_end_of_unknown_outcome_is_resolved(
    behind: tuple[Proxy, Recording], *, is_committed: bool
) -> None:
    """It is written and counted once, and its caller, who can read it, hears that it ended."""
    proxy, recording = behind
    execution_id, other_id = await recording.begin(), await recording.begin()
    await recording.finish(other_id)
    if is_committed:
        proxy.cuts_answer = _is_done
    else:
        proxy.cuts_request = _is_bound
    at = await recording.finish(execution_id, outputs={"answer": "a"})
    assert proxy.cuts == 1
    assert (at is None) is is_committed
    record = await recording.record(execution_id)
    assert (record.status, record.outputs) == ("completed", {"answer": "a"})
    assert await recording.counted() == 2
    await wait_until(lambda: execution_id in recording.ended)


async def test_an_end_is_told_although_nobody_hears_its_outcome(
    behind: tuple[Proxy, Recording],
) -> None:
    """Its caller has gone and the answer to its writing is lost: it is told all the same, once."""
    proxy, recording = behind
    execution_id = await recording.begin()
    await recording.finish(await recording.begin())
    told: list[str] = []
    proxy.cuts_answer = _is_done
    end = End(an_ending(), lambda: told.append("ended"))
    with pytest.raises(DatabaseUnavailableError):
        await recording.recorder.finish(execution_id, end, 0)
    await written()
    assert proxy.cuts == 1
    assert (await recording.record(execution_id)).status == "completed"
    assert told == ["ended"]


async def test_a_beginning_that_is_committed_late_is_not_added_twice(
    behind: tuple[Proxy, Recording], held: Held
) -> None:
    """The server still works on what was cut off: the second try waits for that, and finds it."""
    proxy, recording = behind
    proxy.is_deaf = True
    row = a_row()
    async with held() as hold:
        begin = asyncio.create_task(recording.recorder.begin(row, LEFT, PATIENCE_S))
        await hold.until_waiting()
        proxy.hang_up()
        await hold.until_waiting(2)
    at = await begin
    proxy.is_deaf = False
    assert (await recording.record(row["id"])).created_at == at


async def test_a_backend_that_is_ended_in_a_write_is_replaced(
    recording: Recording, held: Held
) -> None:
    """The operator's hand in the middle of a group is not felt by callers."""
    row = a_row()
    async with held() as hold:
        begin = asyncio.create_task(recording.recorder.begin(row, LEFT, PATIENCE_S))
        await hold.until_waiting()
        await hold.link.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
    at = await begin
    assert (await recording.record(row["id"])).created_at == at
    assert recording.connects == 2


async def test_a_connection_that_broke_while_it_was_idle_is_replaced(
    behind: tuple[Proxy, Recording],
) -> None:
    """A restart of the server between two writes disturbs neither."""
    proxy, recording = behind
    await recording.begin()
    proxy.hang_up()
    await recording.begin()
    assert recording.connects == 2


async def test_a_locked_table_is_waited_for(database_url: str, held: Held) -> None:
    """A statement that the server ends, since it takes too long, is tried again."""
    short = DatabaseSettings(url=SecretStr(database_url), statement_timeout_ms=100)
    database = Database.connect(short)
    recording = Recording(database)
    async with held() as hold:
        begin = asyncio.create_task(recording.begin())
        await hold.until_waiting()
        await wait_until(lambda: len(recording.statements) == 2)
    assert (await recording.record(await begin)).status == "running"
    assert recording.connects == 1
    await database.close()


async def test_a_database_that_is_away_and_back(own_postgres: LocalPostgres) -> None:
    """New work is refused meanwhile, what was paid for is kept and written afterwards."""
    settings = DatabaseSettings(url=SecretStr(own_postgres.url("postgres")))
    await Database.migrate(settings)
    database = Database.connect(settings)
    recording = Recording(database)
    paid, patient = await recording.begin(), await recording.begin()
    await recording.finish(await recording.begin())
    await own_postgres.stop()
    refused = a_row()
    with pytest.raises(DatabaseUnavailableError):
        await recording.recorder.begin(refused, LEFT, 0.2)
    with pytest.raises(DatabaseUnavailableError):
        await recording.finish(paid, 0.2, outputs={"answer": "paid"})
    waiting = asyncio.create_task(recording.finish(patient))
    await own_postgres.start()
    assert await waiting is not None
    await written()
    assert (await recording.record(paid)).outputs == {"answer": "paid"}
    with pytest.raises(ExecutionNotFoundError):
        await recording.record(refused["id"])
    assert await recording.counted() == 3
    await database.close()
