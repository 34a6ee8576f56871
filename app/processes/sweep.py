"""The sweep: ends what dead processes left running, or has it run again."""

import logging

from app.checkpoints import Checkpoint, Reached, nothing
from app.database import Database
from app.models.ids import first_id
from app.processes.channel import ControlChannel
from app.processes.heartbeat import Heartbeat
from app.processes.orphans import mend_orphans, tell_of
from app.settings import ProcessesSettings

logger = logging.getLogger(__name__)

KEPT_S = 86_400.0
"""How long the row of a process that has ended is kept, for people."""

CLOCKS_APART_S = 86_400.0
"""How far the clock that made an execution's id may have been behind the database's."""


class Sweep:
    """Gives up silent processes, and ends executions whose owner has ended.

    Those that run in the background come back into the queue. Every process sweeps; the moves are
    guarded, so that each is made once. One whose own heartbeat is not steady leaves the others
    alone: it is the database that is or was away.
    """

    def __init__(
        self,
        database: Database,
        heartbeat: Heartbeat,
        channel: ControlChannel,
        settings: ProcessesSettings,
        reached: Reached = nothing,
    ) -> None:
        self._database = database
        self._heartbeat = heartbeat
        self._channel = channel
        self._lease_s = settings.lease_ms / 1_000
        self._reached = reached
        self._fresh_s = settings.heartbeat_ms / 1_000 * 1.5

    async def __call__(self) -> None:
        """Sweep once."""
        if not self._heartbeat.is_steady:
            return
        while await self._is_full_slice():
            pass

    async def _is_full_slice(self) -> bool:
        """Give up, end and take back; tell whether there may be more."""
        async with self._database.transaction() as tx:
            silent = await tx.processes.give_up_silent(
                self._heartbeat.id, self._lease_s, self._fresh_s
            )
            owners = await tx.processes.list_ended()
            if not owners:
                return False
            after = first_id(int(min(owners.values()).timestamp() - CLOCKS_APART_S) * 1_000)
            orphans = await mend_orphans(tx, owners.keys(), after)
            if not orphans.is_full:
                await tx.processes.delete_ended(KEPT_S)
            if orphans.count:
                self._reached(Checkpoint.SWEEPING)
        if orphans.count:
            self._reached(Checkpoint.SWEPT)
        if silent:
            logger.warning("gave up silent processes: %s", ", ".join(map(str, silent)))
        tell_of(orphans, self._channel)
        return orphans.is_full
