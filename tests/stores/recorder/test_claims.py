"""Beginnings under idempotency keys: the key and the record are written together, or neither."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from app.database import Database
from app.errors import DatabaseUnavailableError
from app.models.idempotency_keys import Claim
from app.stores.idempotency_keys import KeyChangedError
from app.stores.recorder import Recorder
from tests.stores.recorder.conftest import LEFT, PATIENCE_S, Recording, a_row, failures_of
from tests.support.factories import a_recorder
from tests.support.proxy import Proxy
from tests.support.wait import written

Held = Callable[[], Any]

CLAIM = Claim(b"key", b"request")


async def holder(recording: Recording, claim: Claim = CLAIM) -> UUID | None:
    """Give the id of what holds a key."""
    async with recording.database.transaction() as tx:
        kept = await tx.idempotency_keys.find(claim)
    return None if kept is None else kept.resource_id


async def records(recording: Recording) -> int:
    """Count all records."""
    link = await recording.database.open_connection()
    return int(await link.fetchval("SELECT count(*) FROM executions"))


async def test_a_key_is_claimed_with_its_record(recording: Recording) -> None:
    """The second beginning of a key is refused and leaves nothing; other keys are free."""
    execution_id = await recording.begin(claim=CLAIM)
    assert await holder(recording) == execution_id
    with pytest.raises(KeyChangedError):
        await recording.begin(claim=CLAIM)
    await recording.begin(claim=Claim(b"other", b"request"))
    assert await records(recording) == 2


async def test_of_one_group_the_first_has_the_key(recording: Recording, held: Held) -> None:
    """Twenty beginnings of one key in a group, among others without: one of them is written."""
    async with held() as hold:
        first = asyncio.create_task(recording.begin())
        await hold.until_waiting()
        claims = [None if number % 2 else CLAIM for number in range(40)]
        rest = [asyncio.create_task(recording.begin(claim=claim)) for claim in claims]
        await asyncio.sleep(0)
    failures = await failures_of(first, *rest)
    assert [type(one) for one in failures if one is not None] == [KeyChangedError] * 19
    assert await records(recording) == 22
    assert len(recording.statements) == 2


async def test_two_recorders_give_a_key_once(recording: Recording, database: Database) -> None:
    """On two connections at once, for many keys in either order."""
    other: Recorder = a_recorder(database)
    claims = [Claim(bytes([number]), b"request") for number in range(50)]
    failures = await failures_of(
        *(recording.begin(claim=claim) for claim in claims),
        *(other.begin(a_row(), LEFT, PATIENCE_S, claim) for claim in reversed(claims)),
    )
    assert sum(isinstance(one, KeyChangedError) for one in failures) == 50
    assert failures.count(None) == 50
    assert await records(recording) == 50


async def test_an_old_key_is_free_again(recording: Recording) -> None:
    """After a day the next request takes it over."""
    await recording.begin(claim=CLAIM)
    link = await recording.database.open_connection()
    await link.execute("UPDATE idempotency_keys SET created_at = now() - interval '24 h'")
    claim = Claim(CLAIM.key, b"another request")
    assert await holder(recording) is None
    execution_id = await recording.begin(claim=claim)
    assert await holder(recording, claim) == execution_id


@pytest.mark.parametrize("is_committed", [True, False], ids=["committed", "lost"])
async def test_a_claim_of_unknown_outcome_is_resolved(
    behind: tuple[Proxy, Recording], *, is_committed: bool
) -> None:
    """Its own commit is no other's: the caller who was cut off has the key."""
    proxy, recording = behind
    await recording.begin()
    if is_committed:
        proxy.cuts_answer = lambda answer: b"SELECT 1\x00" in answer
    else:
        proxy.cuts_request = lambda request: b"question" in request
    execution_id = await recording.begin(claim=CLAIM)
    assert proxy.cuts == 1
    assert await holder(recording) == execution_id
    with pytest.raises(KeyChangedError):
        await recording.begin(claim=CLAIM)


async def test_a_claim_whose_caller_gave_up_ends_with_its_record(
    recording: Recording, held: Held
) -> None:
    """It holds its key until it is given back, once, by whoever finds it so."""
    row = a_row()
    async with held() as hold:
        begin = asyncio.create_task(recording.recorder.begin(row, LEFT, 0.05, CLAIM))
        await hold.until_waiting()
        (failure,) = await asyncio.gather(begin, return_exceptions=True)
    assert isinstance(failure, DatabaseUnavailableError)
    await written()
    assert (await recording.record(row["id"])).status == "cancelled"
    assert await holder(recording) == row["id"]
    async with recording.database.transaction() as tx:
        await tx.idempotency_keys.release(CLAIM.key, row["id"])
    execution_id = await recording.begin(claim=CLAIM)
    async with recording.database.transaction() as tx:
        await tx.idempotency_keys.release(CLAIM.key, row["id"])
    assert await holder(recording) == execution_id
