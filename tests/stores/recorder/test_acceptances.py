"""Executions that are accepted: pending, in the queue, and with somebody woken up."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from app.errors import DatabaseUnavailableError
from app.models.idempotency_keys import Claim
from app.models.pending_executions import QUEUE
from app.stores.idempotency_keys import KeyChangedError
from tests.stores.recorder.conftest import LEFT, PATIENCE_S, Recording, a_row
from tests.support.proxy import Proxy
from tests.support.wait import written

CLAIM = Claim(key=b"k", request=b"r")


async def accept(recording: Recording, claim: Claim | None = None, **values: Any) -> Any:
    """Accept an execution; give its id."""
    row = a_row(**values)
    await recording.recorder.accept(row, LEFT, PATIENCE_S, claim)
    return row["id"]


async def queued(recording: Recording) -> list[Any]:
    """List what waits."""
    link = await recording.database.open_connection()
    return [row[0] for row in await link.fetch("SELECT id FROM pending_executions ORDER BY id")]


async def jobs(recording: Recording) -> int:
    """Count the jobs that wait to claim it."""
    async with recording.database.transaction() as tx:
        return (await tx.jobs.count_waiting()).get(QUEUE, 0)


async def test_an_accepted_execution_waits(recording: Recording) -> None:
    """Nobody owns it, and it has not started."""
    row = a_row()
    at = await recording.recorder.accept(row, LEFT, PATIENCE_S)
    record = await recording.record(row["id"])
    assert (record.status, record.owner_id, record.started_at) == ("pending", None, None)
    assert (record.created_at, record.is_background, record.attempts) == (at, True, [])
    assert await queued(recording) == [row["id"]]
    assert await jobs(recording) == 1


async def test_many_wake_up_one(recording: Recording) -> None:
    """What arrives together goes together, and a job that waits will do for all."""
    ids = await asyncio.gather(*(accept(recording) for _ in range(20)))
    assert await queued(recording) == sorted(ids)
    assert await jobs(recording) == 1


async def test_what_is_begun_does_not_wait(recording: Recording) -> None:
    """It has its client, and its process."""
    execution_id = await recording.begin()
    assert not (await recording.record(execution_id)).is_background
    assert await queued(recording) == []
    assert await jobs(recording) == 0


async def test_a_key_is_claimed_once(recording: Recording) -> None:
    """By whoever comes first, in one group or in two; the other is not in the queue either."""
    ends = await asyncio.gather(
        *(accept(recording, CLAIM) for _ in range(2)), return_exceptions=True
    )
    assert [type(end) for end in ends].count(KeyChangedError) == 1
    with pytest.raises(KeyChangedError):
        await accept(recording, CLAIM)
    assert len(await queued(recording)) == 1


@pytest.mark.parametrize("is_committed", [True, False], ids=["committed", "lost"])
async def test_an_acceptance_of_unknown_outcome_is_resolved(
    behind: tuple[Proxy, Recording], *, is_committed: bool
) -> None:
    """It is there once, and waits once."""
    proxy, recording = behind
    await accept(recording)
    if is_committed:
        proxy.cuts_answer = lambda answer: b"SELECT 1\x00" in answer
    else:
        proxy.cuts_request = lambda request: b"question" in request
    execution_id = await accept(recording, CLAIM)
    assert proxy.cuts == 1
    assert (await queued(recording))[1:] == [execution_id]


async def test_what_was_refused_is_cancelled_once_it_is_written(
    recording: Recording, held: Callable[[], Any]
) -> None:
    """Its client was told to come again: nobody claims it."""
    row = a_row()
    async with held() as hold:
        accepting = asyncio.create_task(recording.recorder.accept(row, LEFT, 0.05))
        await hold.until_waiting()
        (failure,) = await asyncio.gather(accepting, return_exceptions=True)
    assert isinstance(failure, DatabaseUnavailableError)
    await written()
    assert (await recording.record(row["id"])).status == "cancelled"
