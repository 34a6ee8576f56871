from uuid import UUID

import pytest
from sqlalchemy import select

from app.database import Database
from app.models import Process
from tests.stores.rows import a_process


async def read(database: Database, process_id: UUID) -> Process:
    """Read a process as it stands."""
    async with database.transaction() as tx:
        query = select(Process).where(Process.id == process_id)
        return (await tx.processes._session.scalars(query)).one()


async def test_a_process_lives_from_its_beginning(database: Database) -> None:
    """It is heard of when it enters, on the database's clock."""
    async with database.transaction() as tx:
        process_id = await a_process(tx)
    found = await read(database, process_id)
    assert (found.kind, found.host, found.pid, found.version) == ("serve", "here", 7, "0")
    assert found.started_at == found.heartbeat_at
    assert found.ended_at is None


async def test_a_beat_is_written(database: Database) -> None:
    """Of one process, and of no other."""
    async with database.transaction() as tx:
        one, other = await a_process(tx, silent_s=9), await a_process(tx, silent_s=9)
    async with database.transaction() as tx:
        assert await tx.processes.beat(one)
    assert (await read(database, one)).heartbeat_at > (await read(database, other)).heartbeat_at


async def test_what_has_ended_does_not_beat_again(database: Database) -> None:
    """Neither after it left nor after it was given up; it leaves once."""
    async with database.transaction() as tx:
        process_id = await a_process(tx, silent_s=9)
        assert await tx.processes.end(process_id)
    ended = await read(database, process_id)
    async with database.transaction() as tx:
        assert not await tx.processes.beat(process_id)
        assert not await tx.processes.end(process_id)
    after = await read(database, process_id)
    assert (after.heartbeat_at, after.ended_at) == (ended.heartbeat_at, ended.ended_at)


async def test_the_silent_are_given_up(database: Database) -> None:
    """Those who were silent for the lease, and once."""
    async with database.transaction() as tx:
        by, silent = await a_process(tx), await a_process(tx, silent_s=16)
        await a_process(tx, silent_s=2)
        await a_process(tx, silent_s=99, ended_s=50)
    async with database.transaction() as tx:
        assert await tx.processes.give_up_silent(by, 15, 7.5) == [silent]
    async with database.transaction() as tx:
        assert await tx.processes.give_up_silent(by, 15, 7.5) == []


@pytest.mark.parametrize("state", [{"silent_s": 8}, {"ended_s": 1}], ids=["silent", "ended"])
async def test_who_was_not_heard_of_gives_nobody_up(
    database: Database, state: dict[str, float]
) -> None:
    """The database may have been away for all; and one that was given up has no say."""
    async with database.transaction() as tx:
        by, other = await a_process(tx, **state), await a_process(tx, silent_s=99)
    async with database.transaction() as tx:
        assert await tx.processes.give_up_silent(by, 15, 7.5) == []
    assert (await read(database, other)).ended_at is None


async def test_those_that_ended_are_listed_until_they_are_forgotten(database: Database) -> None:
    """A day later nobody asks for them."""
    async with database.transaction() as tx:
        await a_process(tx)
        late, early = await a_process(tx, ended_s=99), await a_process(tx, ended_s=101)
    async with database.transaction() as tx:
        listed = await tx.processes.list_ended()
        assert listed.keys() == {late, early}
        await tx.processes.delete_ended(100)
    async with database.transaction() as tx:
        assert (await tx.processes.list_ended()).keys() == {late}
    assert listed[late] == (await read(database, late)).started_at


async def test_processes_tell_of_their_children(database: Database) -> None:
    """Those that live and were heard of; who says nothing has none."""
    async with database.transaction() as tx:
        mute, silent, gone, one = [await a_process(tx, silent_s=of) for of in (0, 9, 0, 1)]
        for process_id in (silent, gone, one):
            await tx.processes.tell_lm_children(process_id, {"main": 2})
        await tx.processes.end(gone)
    async with database.transaction() as tx:
        assert await tx.processes.list_lm_children(5) == {mute: {}, one: {"main": 2}}
