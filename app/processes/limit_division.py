"""The limits of LMs hold over all live processes and their children together."""

from collections.abc import Callable, Mapping
from uuid import UUID

from app.adapters.lm_limits import LMLimiters
from app.adapters.registry import AdapterRegistry
from app.database import Database
from app.settings import ProcessesSettings


class LimitDivision:
    """Counts who may ask each LM, and has this process and its children keep to their parts.

    Every live process may, and every child that holds a program of the LM. `owner_id` gives the
    id of this one. While the database is away the last division holds.
    """

    def __init__(
        self,
        database: Database,
        owner_id: Callable[[], UUID],
        adapters: AdapterRegistry,
        limiters: LMLimiters,
        settings: ProcessesSettings,
    ) -> None:
        self._database = database
        self._owner_id = owner_id
        self._adapters = adapters
        self._limiters = limiters
        self._lease_s = settings.lease_ms / 1_000
        self._told: tuple[UUID, Mapping[str, int]] | None = None

    async def __call__(self) -> None:
        """Divide once."""
        own_id, own = self._owner_id(), self._adapters.lm_children()
        live = {**await self._others(own_id, own), own_id: own}
        holders = {
            name: sum(1 + children.get(name, 0) for children in live.values())
            for name in self._limiters.parts
        }
        self._limiters.divide(holders)
        self._adapters.limit_children(self._limiters.parts)

    async def _others(
        self, own_id: UUID, own: Mapping[str, int]
    ) -> Mapping[UUID, Mapping[str, int]]:
        """Tell the others of our children, where there is news, and hear of theirs."""
        async with self._database.transaction() as tx:
            if self._told != (own_id, own):
                await tx.processes.tell_lm_children(own_id, own)
            others = await tx.processes.list_lm_children(self._lease_s)
        self._told = (own_id, own)
        return others
