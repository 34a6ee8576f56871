"""A lane: runs its share of a batch, its slots full from the first item to the last."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import NamedTuple
from uuid import UUID

from app.actions.batch_processing.closing import BatchClosing
from app.actions.batch_processing.feed import Feed
from app.actions.batch_processing.item_work import CANCELLED, NEVER_RAN, ItemWork, ending_row
from app.actions.batch_processing.lane_records import LaneRecords
from app.actions.batch_processing.ledger import Ledger, Row
from app.actions.batch_processing.options import BatchOptions
from app.actions.batch_processing.suspects import (
    has_died_again,
    is_poisonous,
    is_suspect,
    least_suspect_first,
    poisonous_ending,
)
from app.actions.batch_processing.telling import BatchTelling, ProgressTelling
from app.actions.patience import patiently
from app.actions.program_catalogue import ProgramCatalogue
from app.actions.program_execution.ending import Ending
from app.actions.program_execution.runs import Run, Runs
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.registry import AdapterRegistry
from app.checkpoints import Checkpoint
from app.database import Database
from app.errors import DatabaseUnavailableError
from app.models.ids import place_of
from app.models.states import ExecutionStatus, ProgramStatus
from app.policies.clock import Clock
from app.policies.solitude import Solitude
from app.stores.batch_lanes import Item, LaneLostError
from app.stores.batches import BatchReading
from app.stores.waiting_lanes import TakenLane
from app.telemetry import current_batch_id
from app.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often a lane looks whether its batch was cancelled."""

LAST_WORD_S = 2.0
"""How long a lane that is stopped may take to write what has ended, and to give itself back."""

Leave = Callable[[], Awaitable[bool]]
"""Asks, before items are claimed, whether the lane is to make room for others."""


@dataclass(frozen=True)
class LaneTools:
    """What every lane of a process works with."""

    database: Database
    catalogue: ProgramCatalogue
    adapters: AdapterRegistry
    runs: Runs
    solitude: Solitude
    close: BatchClosing
    tell: BatchTelling
    metrics: Metrics
    clock: Clock
    random: Random
    keeps_traces: bool = False


async def run_lane(tools: LaneTools, taken: TakenLane, leave: Leave) -> None:
    """Run a lane that was taken, until its batch has nothing more for it or `leave` says so.

    Cancelled, it gives back the lane with what it ran, within LAST_WORD_S. Where another process
    has taken the lane meanwhile, nothing more is written.
    """
    current_batch_id.set(str(taken.lane.batch_id))
    records = LaneRecords(tools.database, taken.lane, tools.runs.owner_id, tools.clock)
    run: LaneRun | None = None
    try:
        read = await records.open()
        run = LaneRun(tools, records, taken, read, leave)
        await run()
        await patiently(tools.clock, lambda: tools.close(read.id))
        await records.release(waits=run.has_left)
    except LaneLostError as error:
        logger.warning("%s", error)
    except asyncio.CancelledError:
        await _leave_behind(records, run)
        raise
    finally:
        if run is not None:
            await run.ledger.close()


async def _leave_behind(records: LaneRecords, run: "LaneRun | None") -> None:
    with suppress(TimeoutError, LaneLostError, DatabaseUnavailableError):
        async with asyncio.timeout(LAST_WORD_S):
            if run is not None:
                await run.ledger.settled()
            await records.release(waits=True)


class OwnedItem(NamedTuple):
    """An item that runs here."""

    id: UUID
    owner_id: UUID


class LaneRun:
    """One holding of a lane: what its last holder left first, then what the batch hands out.

    `has_left` tells that there may be work left for the next holder.
    """

    def __init__(
        self,
        tools: LaneTools,
        records: LaneRecords,
        taken: TakenLane,
        read: BatchReading,
        leave: Leave,
    ) -> None:
        batch, options = read.batch, BatchOptions(**read.batch.batch_options)
        self.has_left = False
        self.ledger = Ledger(self._write, options.batch_size)
        self._tools = tools
        self._records = records
        self._taken = taken
        self._batch = batch
        self._options = options
        self._leave = leave
        self._telling = ProgressTelling(tools.tell, read, tools.clock)
        self._feed = Feed(self._claim, taken.lane.share, options.batch_size, tools.clock)
        self._active = set[Run]()
        self._is_cancelled = False

    async def __call__(self) -> None:
        """Run to the end of the batch or of the patience with it; raises LaneLostError."""
        self._work = await self._prepared()
        self._records.know(self._taken.left)
        beside = [asyncio.create_task(work) for work in (self._watch(), self._telling())]
        try:
            await self._take_up()
            await self._fill()
            for item in await self._feed.rest():
                self.ledger.add(ending_row(item, self._never_ran()))
            await self.ledger.settled()
        finally:
            for task in beside:
                task.cancel()
            await self._feed.close()

    async def _prepared(self) -> ItemWork:
        tools, batch = self._tools, self._batch
        recall = tools.catalogue.recall
        runnable = await patiently(
            tools.clock, lambda: recall(batch.program_id, batch.program_revision)
        )
        return ItemWork(
            runnable,
            tools.adapters.find(runnable.at.adapter),
            self._options.for_items(),
            tools.clock,
            tools.random,
            tools.keeps_traces,
        )

    async def _take_up(self) -> None:
        """Run what may have killed its process one by one, and have the rest handed out first."""
        suspects = least_suspect_first(self._taken.left)
        self._feed.put(item for item in self._taken.left if not is_suspect(item))
        poisonous = [item for item in suspects if is_poisonous(item)]
        if poisonous:
            rows = [ending_row(item, poisonous_ending()) for item in poisonous]
            await self._records.end_poisonous(rows)
            for row in rows:
                self._count(row)
        for item in suspects:
            if item in poisonous:
                continue
            if self._feed.is_stopped or await self._must_leave():
                self._feed.put([item])
            else:
                await self._run_alone(item)

    async def _run_alone(self, suspect: Item) -> None:
        """Run a suspect beside no other of its lane; it is to blame where nothing else ran here."""
        solitude = self._tools.solitude
        if not (has_died_again(suspect) or solitude.is_empty):
            async with solitude.beside():
                await self._run(suspect)
            return
        async with solitude.alone():
            await self._records.set_alone(place_of(suspect.id))
            await self._run(suspect)
            await self.ledger.settled()

    async def _fill(self) -> None:
        """Keep the slots full; what one of them raises ends the others."""
        slots = [
            asyncio.create_task(self._slot(), name=f"slot of batch {self._batch.id}")
            for _ in range(self._taken.lane.share)
        ]
        try:
            await asyncio.gather(*slots)
        finally:
            for slot in slots:
                slot.cancel()
            await asyncio.wait(slots)

    async def _slot(self) -> None:
        while True:
            await self.ledger.room()
            item = await self._feed.next()
            if item is None:
                return
            async with self._tools.solitude.beside():
                await self._run(item)

    async def _run(self, item: Item) -> None:
        with self._tools.runs.run() as run:
            self._tools.runs.begin(run, OwnedItem(item.id, self._taken.lane.owner_id))
            self._active.add(run)
            try:
                row: Row | None = await self._work(item)
            except asyncio.CancelledError:
                if not run.is_called_off:
                    raise
                run.task.uncancel()  # somebody else has ended the item, or cancelled the batch
                row = ending_row(item, self._never_ran()) if self._is_cancelled else None
            finally:
                self._active.discard(run)
        if row is not None:
            self._end(row)

    def _end(self, row: Row) -> None:
        self._tools.runs.reached(Checkpoint.ITEM_ANSWERED)
        self.ledger.add(row)
        if row["status"] == ExecutionStatus.FAILED and not self._options.continue_on_error:
            self._feed.stop()

    async def _claim(self, limit: int) -> Sequence[Item] | None:
        if await self._must_leave() or await self._is_refused():
            return None
        items = await self._records.claim(limit)
        self._tools.runs.reached(Checkpoint.ITEMS_CLAIMED)
        return items

    async def _must_leave(self) -> bool:
        self.has_left = self.has_left or await self._leave()
        return self.has_left

    async def _is_refused(self) -> bool:
        """Stop the batch where its program cannot be run any more."""
        recall, batch = self._tools.catalogue.recall, self._batch
        runnable = await patiently(
            self._tools.clock, lambda: recall(batch.program_id, batch.program_revision)
        )
        reason = ""
        if runnable.program.status == ProgramStatus.ARCHIVED:
            reason = f"The program {runnable.program.name} is archived."
        elif self._work.adapter is None:
            reason = f"There is no adapter {runnable.at.adapter!r} any more."
        if reason:
            await self._records.stop(AdapterError(ErrorType.PROGRAM_NOT_FOUND, reason))
        return bool(reason)

    async def _write(self, rows: Sequence[Row]) -> None:
        stops = not self._options.continue_on_error
        ended = await self._records.end(rows, stops_at_failure=stops)
        self._tools.runs.reached(Checkpoint.ITEMS_RECORDED)
        self._telling.note()
        for row in rows:
            if row["id"] in ended:
                self._count(row)

    def _count(self, row: Row) -> None:
        program, at = self._work.runnable.program, self._work.runnable.at
        attempts = row["attempts"]
        adapter = row["adapter"] or (attempts[-1]["adapter"] if attempts else at.adapter)
        duration_s = row["duration_ms"] / 1_000
        self._tools.metrics.execution_ended(
            program.name, adapter, row["outcome"], duration_s, attempts
        )
        self._tools.metrics.item_ended(row["outcome"])

    def _never_ran(self) -> Ending:
        return Ending.failed(CANCELLED if self._is_cancelled else NEVER_RAN)

    async def _watch(self) -> None:
        """Abort what runs as soon as the batch is cancelled."""
        while True:
            await self._tools.clock.sleep(LOOK_S)
            with suppress(DatabaseUnavailableError):
                if await self._records.is_cancelled():
                    break
        self._is_cancelled = True
        self._feed.stop()
        for run in list(self._active):
            run.call_off()
