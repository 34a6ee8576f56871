"""The adapters that programs may ask for by name: built in, or found by entry point."""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from uuid import UUID

from app.adapters.base import Adapter, KnowsModules, Program, WarmsUp
from app.adapters.dspy import DspyAdapter
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.mock import MockAdapter
from app.adapters.setup import AdapterFactory, AdapterSetup
from app.policies.clock import Clock
from app.settings import AdapterSettings, LMSettings, SettingsError
from app.signatures.states import ModuleShape
from app.telemetry.metrics import Metrics

BUILT_IN: Mapping[str, AdapterFactory] = MappingProxyType(
    {
        "mock": MockAdapter,
        "dspy": DspyAdapter,
    }
)
"""The factory of each kind; each kind here is also an adapter of that name, without settings."""

ENTRY_POINT_GROUP = "dspatch.adapters"
"""Where another package names its factory: `kind = "package.module:factory"`."""

REQUIRED = (
    "name",
    "kind",
    "create_program",
    "execute_program",
    "list_programs",
    "delete_program",
    "get_program_info",
    "validate_signature",
    "health_check",
    "get_stats",
    "cleanup",
)
"""What every adapter has to have (`app.adapters.base.Adapter`)."""

logger = logging.getLogger(__name__)


class UnknownAdapterError(LookupError):
    """No adapter has the name; the message says which there are."""


class AdapterRegistry:
    """The adapters of this process, by name."""

    def __init__(self, adapters: Sequence[Adapter]) -> None:
        self._adapters = {adapter.name: adapter for adapter in adapters}

    @classmethod
    def from_settings(
        cls,
        adapters: Mapping[str, AdapterSettings],
        lms: Mapping[str, LMSettings],
        environment: Mapping[str, str],
        clock: Clock,
        metrics: Metrics,
    ) -> "AdapterRegistry":
        """Build the adapters of the settings and the built-in ones; SettingsError where one cannot.

        Nothing is opened yet, so that a refused start leaves nothing behind.
        """
        kinds = find_kinds()
        shared = AdapterSetup("", lms=lms, environment=environment, clock=clock, metrics=metrics)
        settings = {kind: AdapterSettings(kind=kind) for kind in BUILT_IN} | dict(adapters)
        return cls(
            [
                _build(kinds, of, replace(shared, name=name, options=of.options))
                for name, of in settings.items()
            ]
        )

    def get(self, name: str) -> Adapter:
        """Give the adapter of this name; UnknownAdapterError where there is none."""
        adapter = self.find(name)
        if adapter is None:
            known = ", ".join(self.names())
            raise UnknownAdapterError(f"there is no adapter {name!r}; there are: {known}")
        return adapter

    def find(self, name: str) -> Adapter | None:
        """Give the adapter of this name, or None."""
        return self._adapters.get(name)

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
        for adapter in (self.find(name), *self):
            if isinstance(adapter, KnowsModules):
                return await adapter.module_shape(program)
        raise AdapterError(ErrorType.UNSUPPORTED, "no adapter here builds modules")

    def __iter__(self) -> Iterator[Adapter]:
        return iter(self._adapters.values())

    def __len__(self) -> int:
        return len(self._adapters)

    async def warm_up(self) -> None:
        """Let each adapter that has a `warm_up` do now what its first call would wait for."""
        await asyncio.gather(
            *(adapter.warm_up() for adapter in self if isinstance(adapter, WarmsUp))
        )

    async def cleanup(self) -> None:
        """Clean all adapters up, each one even where another fails."""
        await asyncio.gather(*(_clean(adapter) for adapter in self))


def find_kinds() -> Mapping[str, AdapterFactory | EntryPoint]:
    """Give every kind that is built in or installed; SettingsError where two claim one name."""
    kinds: dict[str, AdapterFactory | EntryPoint] = dict(BUILT_IN)
    for found in entry_points(group=ENTRY_POINT_GROUP):
        if found.name in kinds:
            raise SettingsError(
                f"the adapter kind {found.name} of {found.value} is taken by another package"
            )
        kinds[found.name] = found
    return kinds


def _build(
    kinds: Mapping[str, AdapterFactory | EntryPoint], settings: AdapterSettings, setup: AdapterSetup
) -> Adapter:
    where = f"adapters.{setup.name}"
    if setup.name in BUILT_IN and settings.kind != setup.name:
        raise SettingsError(f"{where}: this name belongs to the kind {setup.name}")
    if settings.kind not in kinds:
        known = ", ".join(sorted(kinds))
        raise SettingsError(f"{where}: there is no kind {settings.kind!r}; there are: {known}")
    try:
        adapter = _load(kinds[settings.kind])(setup)
    except SettingsError:
        raise
    except Exception as error:
        raise SettingsError(f"{where}: the kind {settings.kind} cannot be used: {error}") from error
    _refuse_incomplete(adapter, where)
    return adapter


def _load(kind: AdapterFactory | EntryPoint) -> AdapterFactory:
    if isinstance(kind, EntryPoint):
        factory: AdapterFactory = kind.load()
        return factory
    return kind


def _refuse_incomplete(adapter: Adapter, where: str) -> None:
    missing = [name for name in REQUIRED if not hasattr(adapter, name)]
    if missing:
        raise SettingsError(f"{where}: the adapter lacks {', '.join(missing)}")


async def _clean(adapter: Adapter) -> None:
    try:
        await adapter.cleanup()
    except Exception:
        logger.exception("the adapter %s could not be cleaned up", adapter.name)
