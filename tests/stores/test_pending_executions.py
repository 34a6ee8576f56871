"""The queue of executions: who is first, who is alone, and how they come back."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, text, update

from app.database import Database
from app.models import Execution, PendingExecution
from app.models.ids import first_id
from app.models.pending_executions import QUEUE
from app.stores.pending_executions import Returning
from app.stores.transaction import Transaction
from tests.stores.rows import a_beginning

OWNER = uuid4()
ANY_TIME = first_id(0)


async def a_pending(tx: Transaction, *, is_suspect: bool = False, **values: Any) -> UUID:
    """Add an execution that waits; give its id."""
    row = {**a_beginning(), "metadata_": {}, **values}
    execution_id = await tx.executions.add_running(row)
    change = {"status": "pending", "started_at": None, "is_background": True}
    statement = update(Execution).where(Execution.id == execution_id)
    await tx.executions._session.execute(statement.values(change))
    place = {"id": execution_id, "is_suspect": is_suspect}
    await tx.executions._session.execute(insert(PendingExecution).values(place))
    return execution_id


async def read(database: Database, execution_id: UUID) -> Execution:
    """Read a record as it stands."""
    async with database.transaction() as tx:
        return await tx.executions.get(execution_id)


async def jobs(database: Database) -> Mapping[str, int]:
    """Count the jobs that wait."""
    async with database.transaction() as tx:
        return await tx.jobs.count_waiting()


async def test_the_oldest_are_claimed_first(database: Database) -> None:
    """They run from then on, under their owner, and stand in the queue no more."""
    async with database.transaction() as tx:
        ids = [await a_pending(tx) for _ in range(3)]
    async with database.transaction() as tx:
        claimed = await tx.pending_executions.claim(OWNER, 2)
    assert not claimed.has_suspect
    assert sorted(one.id for one in claimed.executions) == ids[:2]
    first = claimed.executions[0]
    assert (first.status, first.owner_id) == ("running", OWNER)
    assert first.started_at is not None
    assert first.inputs == {"question": "why"}
    async with database.transaction() as tx:
        assert await tx.pending_executions.count() == 1
        assert [one.id for one in (await tx.pending_executions.claim(OWNER, 9)).executions] == [
            ids[2]
        ]
        assert (await tx.pending_executions.claim(OWNER, 9)).executions == []


async def test_two_claim_different_ones(database: Database) -> None:
    """What one has in hand, the other passes by; a rollback leaves it waiting."""
    async with database.transaction() as tx:
        ids = [await a_pending(tx) for _ in range(2)]
    async with database.transaction() as one, database.transaction() as other:
        first = await one.pending_executions.claim(OWNER, 1)
        second = await other.pending_executions.claim(uuid4(), 2)
        claimed = [each.id for each in (*first.executions, *second.executions)]
        await one.executions._session.rollback()
        await other.executions._session.rollback()
    assert claimed == ids
    async with database.transaction() as tx:
        assert await tx.pending_executions.count() == 2


async def test_what_was_cancelled_meanwhile_is_not_run(database: Database) -> None:
    """It loses its place and keeps its end."""
    async with database.transaction() as tx:
        gone, stays = await a_pending(tx), await a_pending(tx)
        await tx.executions.cancel(gone, {"status": "cancelled", "outcome": "cancelled"})
    async with database.transaction() as tx:
        claimed = await tx.pending_executions.claim(OWNER, 2)
        assert await tx.pending_executions.count() == 0
    assert [one.id for one in claimed.executions] == [stays]
    assert (await read(database, gone)).status == "cancelled"


async def test_a_suspect_is_claimed_first_and_alone(database: Database) -> None:
    """It has not started before its owner says so."""
    async with database.transaction() as tx:
        await a_pending(tx)
        suspects = [await a_pending(tx, is_suspect=True) for _ in range(2)]
    async with database.transaction() as tx:
        claimed = await tx.pending_executions.claim(OWNER, 9)
    assert claimed.has_suspect
    (suspect,) = claimed.executions
    assert (suspect.id, suspect.started_at) == (suspects[0], None)
    async with database.transaction() as tx:
        assert await tx.pending_executions.start(suspect)
    assert (await read(database, suspect.id)).started_at is not None


async def test_a_suspect_that_was_taken_away_does_not_start(database: Database) -> None:
    """Its owner was given up meanwhile, or it was cancelled."""
    async with database.transaction() as tx:
        await a_pending(tx, is_suspect=True)
        (suspect,) = (await tx.pending_executions.claim(OWNER, 1)).executions
    async with database.transaction() as tx:
        ending = {"status": "cancelled", "outcome": "cancelled"}
        await tx.executions.cancel(suspect.id, ending)
        assert not await tx.pending_executions.start(suspect)


async def test_those_of_an_owner_are_held(database: Database) -> None:
    """With what their lost attempts need; those of others, and those that wait, are not."""
    async with database.transaction() as tx:
        ids = [await a_pending(tx) for _ in range(3)]
        await tx.pending_executions.claim(OWNER, 1)
        await tx.pending_executions.claim(uuid4(), 1)
        sync = await tx.executions.add_running(
            {**a_beginning(), "metadata_": {}, "owner_id": OWNER}
        )
    async with database.transaction() as tx:
        (held,) = await tx.pending_executions.hold_lost({OWNER}, ANY_TIME, 9)
        assert await tx.pending_executions.hold_lost({OWNER}, ids[0], 9) == []
    assert (held.id, held.attempts) == (ids[0], [])
    assert held.taken_ms >= 0
    assert held.started_at == (await read(database, held.id)).started_at
    assert (await read(database, sync)).status == "running"


async def test_what_is_being_ended_is_not_held(database: Database) -> None:
    """It is left to whoever ends it."""
    async with database.transaction() as tx:
        await a_pending(tx)
        await tx.pending_executions.claim(OWNER, 1)
    async with database.transaction() as one, database.transaction() as other:
        assert len(await one.pending_executions.hold_lost({OWNER}, ANY_TIME, 9)) == 1
        assert await other.pending_executions.hold_lost({OWNER}, ANY_TIME, 9) == []


async def test_what_is_given_back_waits_again(database: Database) -> None:
    """With its attempts, without owner and start; and somebody is woken up."""
    attempts = [{"adapter": "a\x00", "started_at": "t", "duration_ms": 1e23, "error": None}]
    async with database.transaction() as tx:
        await a_pending(tx)
        (claimed,) = (await tx.pending_executions.claim(OWNER, 1)).executions
        await tx.pending_executions.give_back([Returning(claimed.id, attempts, is_suspect=True)])
    found = await read(database, claimed.id)
    assert (found.status, found.owner_id, found.started_at) == ("pending", None, None)
    assert found.attempts == attempts
    assert await jobs(database) == {QUEUE: 1}
    async with database.transaction() as tx:
        assert (await tx.pending_executions.claim(OWNER, 1)).has_suspect


async def test_nothing_to_give_back_wakes_nobody_up(database: Database) -> None:
    """As where a process that ends has run nothing."""
    async with database.transaction() as tx:
        await tx.pending_executions.give_back([])
    assert await jobs(database) == {}


async def test_somebody_is_reminded_of_what_waits(database: Database) -> None:
    """Where anything does."""
    async with database.transaction() as tx:
        await tx.pending_executions.remind()
    assert await jobs(database) == {}
    async with database.transaction() as tx:
        execution_id = await a_pending(tx)
        await tx.pending_executions.remind()
    assert await jobs(database) == {QUEUE: 1}
    async with database.transaction() as tx:
        await tx.pending_executions.drop(execution_id)
        assert await tx.pending_executions.count() == 0


async def test_claims_and_returns_look_into_their_partitions_alone(database: Database) -> None:
    """Of many weeks, only those of the group: the others are not touched."""
    async with database.transaction() as tx:
        await tx.partitions.ensure(8)
        await a_pending(tx)
    async with database.transaction() as tx:
        (claimed,) = (await tx.pending_executions.claim(OWNER, 1)).executions
        await tx.pending_executions.give_back([Returning(claimed.id, [], is_suspect=False)])
        touched = text(
            "SELECT count(DISTINCT relation) FROM pg_locks JOIN pg_class ON oid = relation"
            " WHERE pid = pg_backend_pid() AND relname LIKE 'executions\\_%' AND relkind = 'r'"
        )
        assert (await tx.executions._session.scalars(touched)).one() <= 2
