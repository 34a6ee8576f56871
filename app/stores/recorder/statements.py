"""What is written of many records by one statement: their beginnings, or their ends."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.dialects import postgresql

from app.models import Execution
from app.models.executions import WHAT_RUNS
from app.models.pending_executions import QUEUE, TASK
from app.models.states import EXECUTION_MOVES, ExecutionStatus
from app.stores.connections import Link
from app.stores.documents import dump_document
from app.stores.idempotency_keys import KEPT_FOR, KeyChangedError
from app.stores.recorder.writes import Write

BEGINNING = (
    "id",
    *WHAT_RUNS,
    "inputs",
    "execution_options",
    "metadata",
    "request_id",
    "owner_id",
)
"""The columns that a beginning brings."""

ENDING = (
    "id",
    "status",
    "outcome",
    "adapter",
    "outputs",
    "raw_output",
    "error",
    "details",
    "attempts",
    "usage",
    "trace",
    "duration_ms",
    "owner_id",
)
"""The columns that an end brings; id and owner are not written, but must be the record's."""

ITEM_ENDING = (*ENDING, "retries")
"""The columns that the end of an item of a batch brings; retries are not written but counted."""

MakePartitions = Callable[[Sequence[UUID]], Awaitable[object]]
Observer = Callable[[Sequence[UUID]], None]

_CLAIM = ("claim_key", "claim_request")

_TABLE = Execution.__table__
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_TYPES = {name: _TABLE.c[name].type.compile(_DIALECT) for name in _TABLE.c.keys()}  # noqa: SIM118
_TYPES |= {**dict.fromkeys(_CLAIM, "BYTEA"), "retries": "INTEGER"}
_DOCUMENTS = frozenset(name for name, kind in _TYPES.items() if kind == "JSON")


def encoded(columns: Sequence[str], row: Mapping[str, Any]) -> list[Any]:
    """Put a row into the order of its columns, documents as text; what it lacks is null."""
    return [
        dump_document(value) if name in _DOCUMENTS and value is not None else value
        for name, value in ((name, row.get(name)) for name in columns)
    ]


def unnested(columns: Sequence[str], parameter: str = "${place}") -> str:
    """Write the rows of a group as a table `n`: `unnest(CAST($1 AS UUID[]), …) AS n (id, …)`."""
    arrays = ", ".join(
        f"CAST({parameter.format(place=place, name=name)} AS {_TYPES[name]}[])"
        for place, name in enumerate(columns, 1)
    )
    return f"unnest({arrays}) AS n ({', '.join(columns)})"


def _arrays(group: Sequence[Write]) -> list[Sequence[Any]]:
    """Turn rows into columns; in order of id, so that two groups lock rows alike."""
    ordered = sorted(group, key=lambda write: write.id)
    return list(zip(*(write.values for write in ordered), strict=True))


def _claiming(group: Sequence[Write]) -> list[Sequence[Any]]:
    """Turn rows into columns, their claims beside them."""
    claims = [write.claim for write in sorted(group, key=lambda write: write.id)]
    keys = [claim and claim.key for claim in claims]
    return [*_arrays(group), keys, [claim and claim.request for claim in claims]]


_COLUMNS = f"({', '.join(BEGINNING)}, status, attempts, created_at, started_at, is_background)"
_CLAIMED = f"""
claimed AS (
    INSERT INTO idempotency_keys AS k (key, request, resource_id, is_new, created_at)
    SELECT DISTINCT ON (claim_key) claim_key, claim_request, id, true, now() FROM n
    WHERE claim_key IS NOT NULL ORDER BY claim_key, id
    ON CONFLICT (key) DO UPDATE SET request = excluded.request,
        resource_id = excluded.resource_id, is_new = true, created_at = now()
    WHERE k.created_at <= now() - interval '{KEPT_FOR.total_seconds()} s'
    RETURNING resource_id
)
"""  # noqa: S608 - our own columns


@dataclass(frozen=True)
class Insertion:
    """How rows are added: what they are from then on, and what goes with them.

    Of a group's rows with one idempotency key the first has it; a key that somebody is taking is
    waited for.
    """

    values: str
    """Of status, attempts, created_at, started_at and is_background."""
    besides: str = ""
    """Statements over `added`, each after a comma."""
    at_last: str = ""
    """An expression that is evaluated where any row was added, after a comma."""


@cache
def insert_statement(of: Insertion, *, claims: bool, condition: str = "") -> str:
    """Write the statement that adds rows, or rows with claims beside them."""
    columns = (*BEGINNING, *_CLAIM) if claims else BEGINNING
    wanted = "WHERE claim_key IS NULL OR id IN (SELECT resource_id FROM claimed)"
    return f"""
        WITH n AS (SELECT * FROM {unnested(columns)}){f", {_CLAIMED}" if claims else ""},
        added AS (
            INSERT INTO executions {_COLUMNS}
            SELECT {", ".join(BEGINNING)}, {of.values} FROM n {wanted if claims else ""}
            {condition}
            RETURNING id, created_at AS at
        ){of.besides}
        SELECT id, at{of.at_last} FROM added
    """  # noqa: S608 - our own columns


RUNNING = Insertion(f"'{ExecutionStatus.RUNNING}', '[]', now(), now(), false")
PENDING = Insertion(
    f"'{ExecutionStatus.PENDING}', '[]', now(), NULL, true",
    besides=", queued AS (INSERT INTO pending_executions SELECT id, false FROM added)",
    at_last=f", (SELECT dspatch_wake_up('{QUEUE}', '{TASK}'))",
)
# Waits for a commit that is still under way, and then adds nothing.
UNLESS_BEGUN = "ON CONFLICT (id) DO NOTHING"

# The range keeps the look-up within the partitions of the group.
_FIND = """
SELECT id, created_at AS at FROM executions WHERE id = ANY($1::uuid[]) AND id BETWEEN $2 AND $3
"""

_MOVES = ", ".join(
    f"('{origin}', '{target}')" for origin, targets in EXECUTION_MOVES.items() for target in targets
)
_FINISH = f"""
WITH ended AS (
    UPDATE executions AS e
    SET {", ".join(f"{name} = n.{name}" for name in ENDING[1:-1])}, finished_at = now()
    FROM {unnested(ENDING)}
    WHERE e.id = n.id
        AND e.id BETWEEN ${len(ENDING) + 1} AND ${len(ENDING) + 2}
        AND (e.status, n.status) IN ({_MOVES})
        AND e.owner_id IS NOT DISTINCT FROM n.owner_id
    RETURNING e.id, e.program_id
), counted AS (
    INSERT INTO execution_counts (program_id, ended, last_ended_at)
    SELECT program_id, count(*), now() FROM ended GROUP BY program_id
)
SELECT id, now() AS at FROM ended
"""  # noqa: S608 - our own columns and states


class Beginnings:
    """Adds records, all or none; `leave` is told of those whose callers have gone."""

    def __init__(
        self,
        insertion: Insertion,
        make_partitions: MakePartitions,
        leave: Callable[[Write], None],
    ) -> None:
        self._insertion = insertion
        self._make_partitions = make_partitions
        self._leave = leave

    async def __call__(self, link: Link, group: Sequence[Write]) -> None:
        """Write a group, making partitions where they are missing."""
        begun: dict[UUID, datetime] = {}
        fresh = [write for write in group if not write.is_uncertain]
        if fresh:
            begun = await self._insert(link, fresh)
        uncertain = [write for write in group if write.is_uncertain]
        if uncertain:
            await self._insert(link, uncertain, UNLESS_BEGUN)
            begun |= await _found(link, uncertain)
        for write in group:
            if write.claim is not None and write.id not in begun:
                write.fail(KeyChangedError())
            elif not write.settle(begun[write.id]):
                self._leave(write)

    async def _insert(
        self, link: Link, group: Sequence[Write], condition: str = ""
    ) -> dict[UUID, datetime]:
        """Write rows, and their claims where there are some; a transaction, as one statement is."""
        claims = any(write.claim is not None for write in group)
        arrays = _claiming(group) if claims else _arrays(group)
        statement = insert_statement(self._insertion, claims=claims, condition=condition)
        try:
            rows = await link.fetch(statement, *arrays)
        except asyncpg.CheckViolationError:  # "no partition of relation" is one
            await self._make_partitions([write.id for write in group])
            rows = await link.fetch(statement, *arrays)
        return _times(rows)


class Endings:
    """Ends records that have not ended, and counts them; `ended` hears of all of them."""

    def __init__(self, ended: Observer) -> None:
        self._ended = ended

    async def __call__(self, link: Link, group: Sequence[Write]) -> None:
        """Write a group; an end that may have been written is simply not written twice."""
        at = _times(await link.fetch(_FINISH, *_arrays(group), *_range(group)))
        # Not by us: what an observer raises is no failure of the write.
        call_soon = asyncio.get_running_loop().call_soon
        for write in group:
            is_awaited = write.settle(at.get(write.id))
            # Whoever waits for an end of unknown outcome looks for himself how it went.
            if write.id in at or (write.is_uncertain and not is_awaited):
                call_soon(write.heard)
        call_soon(self._ended, [write.id for write in group])


async def _found(link: Link, group: Sequence[Write]) -> dict[UUID, datetime]:
    """Read when records were begun."""
    return _times(await link.fetch(_FIND, [write.id for write in group], *_range(group)))


def _times(rows: Sequence[asyncpg.Record]) -> dict[UUID, datetime]:
    return {row["id"]: row["at"] for row in rows}


def _range(group: Sequence[Write]) -> tuple[UUID, UUID]:
    ids = [write.id for write in group]
    return min(ids), max(ids)
