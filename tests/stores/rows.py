"""Rows with defaults, for tests that care for one column of them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import func, update

from app.models import Execution, Process, Program, Signature
from app.models.ids import Ids, first_id
from app.models.states import ExecutionStatus, Outcome
from app.policies.clock import SystemClock
from app.stores.batch_items import NewItem, row_of
from app.stores.batch_lanes import HeldLane, Item
from app.stores.transaction import Transaction

IDS = Ids(SystemClock())
_numbers = count()

ABOUT = {"kind": "serve", "host": "here", "pid": 7, "version": "0"}
"""What a process says of itself."""


def rising_ids() -> Iterator[UUID]:
    """Give ids of this very week, one greater than the other."""
    now = int(datetime.now(UTC).timestamp() * 1_000)
    return (UUID(int=first_id(now).int + number) for number in count(1))


async def a_signature(tx: Transaction, **values: Any) -> Signature:
    """Add a signature; its name and content are new unless they are given."""
    number = next(_numbers)
    defaults = {
        "id": IDS.new(),
        "name": f"signature_{number}",
        "version": 1,
        "instructions": "",
        "description": "",
        "inputs": [{"name": "question", "type": "string"}],
        "outputs": [{"name": "answer", "type": "string"}],
        "notation": "question: string -> answer: string",
        "content_hash": f"hash_{number}",
    }
    return await tx.signatures.add({**defaults, **values})


async def a_program(tx: Transaction, **values: Any) -> Program:
    """Add a program, and a signature for it where none is given."""
    if "signature_id" not in values:
        values["signature_id"] = (await a_signature(tx)).id
    defaults = {
        "id": IDS.new(),
        "name": f"program_{next(_numbers)}",
        "module": "predict",
        "adapter": "mock",
        "config": {},
        "description": "",
        "metadata_": {},
    }
    return await tx.programs.add({**defaults, **values})


def a_beginning() -> dict[str, Any]:
    """Make what every new record needs, but for its metadata."""
    return {
        "id": IDS.new(),
        "program_id": IDS.new(),
        "program_name": "program",
        "program_revision": 1,
        "signature_id": IDS.new(),
        "signature_name": "signature",
        "signature_version": 1,
        "adapter_type": "mock",
        "inputs": {"question": "why"},
        "execution_options": {},
    }


async def an_execution(tx: Transaction, **values: Any) -> UUID:
    """Add a running execution; give its id."""
    return await tx.executions.add_running({**a_beginning(), "metadata_": {}, **values})


def an_ending(status: ExecutionStatus = ExecutionStatus.COMPLETED, **values: Any) -> dict[str, Any]:
    """Make what `finish` writes."""
    return {"status": status, "outcome": Outcome.SUCCESS, "attempts": [], **values}


async def ended(tx: Transaction, ending: Mapping[str, Any], **values: Any) -> Execution:
    """Add an execution that has ended."""
    execution = await tx.executions.finish(await an_execution(tx, **values), ending)
    assert execution is not None
    return execution


async def a_process(tx: Transaction, *, silent_s: float = 0, ended_s: float | None = None) -> UUID:
    """Add a process that was last heard of so long ago, and may have ended."""
    process_id = IDS.new()
    await tx.processes.add({"id": process_id, **ABOUT})
    values = {"heartbeat_at": func.now() - timedelta(seconds=silent_s)}
    if ended_s is not None:
        values["ended_at"] = func.now() - timedelta(seconds=ended_s)
    statement = update(Process).where(Process.id == process_id).values(values)
    await tx.processes._session.execute(statement)
    return process_id


def of_items(batch_id: UUID) -> dict[str, Any]:
    """Make what all items of a batch have in common."""
    beginning = a_beginning()
    common = {name: beginning[name] for name in beginning if name not in {"id", "inputs"}}
    return {**common, "batch_id": batch_id, "metadata": {}, "request_id": None}


async def a_batch(
    tx: Transaction, total: int = 3, shares: Sequence[int] = (2,), **values: Any
) -> UUID:
    """Add a batch with its items, of which those at the places in `invalid` are so; give its id."""
    invalid = values.pop("invalid", ())
    batch_id: UUID = values.pop("id", None) or IDS.new()
    common = of_items(batch_id)
    items = [
        NewItem(
            place, f"item {place}", {"question": str(place)}, {"n": 1} if place in invalid else None
        )
        for place in range(total)
    ]
    await tx.batch_items.add(common, 0, map(row_of, items))
    defaults = {
        "id": batch_id,
        "program_id": common["program_id"],
        "program_revision": 1,
        "batch_options": {},
        "total_items": total,
        "invalid_items": len(invalid),
        "ended_ahead": len(invalid),
        "metadata_": {},
    }
    await tx.batches.add({**defaults, **values}, shares)
    return batch_id


async def a_running_batch(tx: Transaction, total: int = 3, **values: Any) -> UUID:
    """Add a batch whose items are handed out."""
    batch_id = await a_batch(tx, total, **values)
    assert await tx.batches.start(batch_id)
    return batch_id


async def a_lane(tx: Transaction, batch_id: UUID, number: int = 0) -> HeldLane:
    """Take a lane for a process that lives."""
    taken = await tx.waiting_lanes.take(batch_id, number, await a_process(tx))
    assert taken is not None
    return taken.lane


def item_ending(
    item: Item, status: ExecutionStatus = ExecutionStatus.COMPLETED, **values: Any
) -> dict[str, Any]:
    """Make the end of an item."""
    return {"id": item.id, "duration_ms": 2.0, "retries": 0, **an_ending(status, **values)}
