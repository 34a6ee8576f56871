"""What is deleted, written to files of JSON Lines before it goes."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from app.database import Database
from app.stores.record_lines import LINES


class Archive:
    """Files in a folder, one of each kind of record for each run.

    What was added is on the disk. Whoever dies before he has deleted it leaves it to the next run,
    whose files have it again.
    """

    def __init__(self, folder: Path, run: str, database: Database) -> None:
        self._folder = folder
        self._run = run
        self._database = database

    async def add_executions(self, ids: Sequence[UUID]) -> None:
        """Add executions that are there, by their ids in order."""
        for start in range(0, len(ids), LINES):
            async with self._database.transaction() as tx:
                lines = await tx.record_lines.list_executions(ids[start : start + LINES])
            await self._add("executions", lines)

    async def add_week(self, partition: str) -> None:
        """Add the executions of a partition, or of what was one."""
        last: UUID | None = UUID(int=0)
        while last is not None:
            async with self._database.transaction() as tx:
                lines, last = await tx.record_lines.list_of_week(partition, last)
            await self._add("executions", lines)

    async def add_batch(self, batch_id: UUID) -> None:
        """Add a batch without its items."""
        async with self._database.transaction() as tx:
            lines = await tx.record_lines.list_batches(batch_id)
        await self._add("batches", lines)

    async def _add(self, kind: str, lines: Sequence[str]) -> None:
        if lines:
            path = self._folder / f"{kind}-{self._run}.jsonl"
            content = "".join(f"{line}\n" for line in lines).encode()
            await asyncio.to_thread(_append, path, content)


def _append(path: Path, content: bytes) -> None:
    """Append all or nothing, unless we are killed; return when it is on the disk."""
    path.touch(mode=0o600)
    with path.open("ab", buffering=0) as file:
        end = file.tell()
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise
    if end == 0:
        _sync_names(path.parent)


def _sync_names(folder: Path) -> None:
    """Have the name of a new file on the disk, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
