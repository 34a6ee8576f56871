"""The adapters that programs may ask for by name: built in, or found by entry point."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from app.adapters.base import Adapter, HasChildren, KnowsModules, Program, WarmsUp
from app.adapters.building import build_adapters, first_name
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.guarded import GuardedAdapter
from app.adapters.lm_limits import LMParts
from app.adapters.mock import MockAdapter
from app.adapters.setup import AdapterSetup
from app.policies.breaker import BreakerState
from app.settings import AdapterSettings
from app.signatures.states import ModuleShape

logger = logging.getLogger(__name__)


class UnknownAdapterError(LookupError):
    """No adapter has the name; the message says which there are."""


class AdapterRegistry:
    """The adapters of this process, by name, each with its guard."""

    def __init__(self, adapters: Sequence[Adapter]) -> None:
        guarded = (
            adapter if isinstance(adapter, GuardedAdapter) else GuardedAdapter(adapter)
            for adapter in adapters
        )
        self._adapters = {adapter.name: adapter for adapter in guarded}

    @classmethod
    def from_settings(
        cls, adapters: Mapping[str, AdapterSettings], shared: AdapterSetup
    ) -> "AdapterRegistry":
        """Build the adapters of the settings and the built-in ones; SettingsError where one cannot.

        `shared` is the setup of all of them. Nothing is opened yet, so that a refused start leaves
        nothing behind.
        """
        return cls(build_adapters(adapters, shared))

    def get(self, name: str) -> GuardedAdapter:
        """Give the adapter of this name; UnknownAdapterError where there is none."""
        adapter = self.find(name)
        if adapter is None:
            known = ", ".join(self.names())
            raise UnknownAdapterError(f"there is no adapter {name!r}; there are: {known}")
        return adapter

    def find(self, name: str) -> GuardedAdapter | None:
        """Give the adapter of this name, or None."""
        return self._adapters.get(first_name(name))

    def names(self) -> Sequence[str]:
        """Name the adapters, in order."""
        return sorted(self._adapters)

    async def holds(self, name: str, program_id: UUID, revision: int) -> bool:
        """Tell whether an adapter holds a program prepared at this revision."""
        adapter = self.find(name)
        if adapter is None:
            return False
        try:
            return (await adapter.get_program_info(program_id)).revision == revision
        except AdapterError:
            return False

    async def module_shape(self, name: str, program: Program) -> ModuleShape:
        """Say what a program's state holds: its own adapter does, or another that builds modules.

        Raises AdapterError, `unsupported` where no adapter can build the program's module.
        """
        own = self.find(name)
        for adapter in (*([own] if own else ()), *self):
            if isinstance(adapter.inner, KnowsModules):
                return await adapter.inner.module_shape(program)
        raise AdapterError(ErrorType.UNSUPPORTED, "no adapter here builds modules")

    def __iter__(self) -> Iterator[GuardedAdapter]:
        return iter(self._adapters.values())

    def __len__(self) -> int:
        return len(self._adapters)

    async def warm_up(self) -> None:
        """Let each adapter that has a `warm_up` do now what its first call would wait for."""
        able = (adapter.inner for adapter in self if isinstance(adapter.inner, WarmsUp))
        await asyncio.gather(*(adapter.warm_up() for adapter in able))

    async def check(self) -> None:
        """Check the health of every adapter, so that this process knows of it."""
        await asyncio.gather(*(adapter.health_check() for adapter in self))

    def lm_children(self) -> Mapping[str, int]:
        """Count the children of all adapters that hold a program of an LM, by the LMs' names."""
        return sum((Counter(of.lm_children()) for of in self._with_children()), Counter())

    def limit_children(self, parts: LMParts) -> None:
        """Have each child ask no more of the LMs than this."""
        for adapter in self._with_children():
            adapter.limit_children(parts)

    def _with_children(self) -> Iterator[HasChildren]:
        return (adapter.inner for adapter in self if isinstance(adapter.inner, HasChildren))

    def lets_calls_pass(self) -> bool:
        """Tell whether the breaker of any adapter does; a mock only rehearses, beside others."""
        adapters = [adapter for adapter in self if adapter.kind != MockAdapter.kind] or list(self)
        return any(adapter.breaker.state is not BreakerState.OPEN for adapter in adapters)

    def breaker_levels(self) -> Mapping[str, int]:
        """Say where the breakers stand, by the names of their adapters."""
        return {adapter.name: adapter.breaker.state.level for adapter in self}

    async def cleanup(self) -> None:
        """Clean all adapters up, each one even where another fails."""
        await asyncio.gather(*(_clean(adapter) for adapter in self))


async def _clean(adapter: Adapter) -> None:
    try:
        await adapter.cleanup()
    except Exception:
        logger.exception("the adapter %s could not be cleaned up", adapter.name)
