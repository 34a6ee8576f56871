"""Building the adapters of the settings: kinds that are built in or installed, members first."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from app.adapters.base import REQUIRED, Adapter
from app.adapters.combine import COMBINATIONS
from app.adapters.dspy import DspyAdapter
from app.adapters.guarded import GuardedAdapter
from app.adapters.mock import MockAdapter
from app.adapters.remote import RemoteAdapter
from app.adapters.setup import AdapterFactory, AdapterSetup
from app.adapters.worker import WorkerAdapter
from app.policies.breaker import Breaker
from app.policies.clock import Clock
from app.policies.limiter import Limiter
from app.policies.limits import Limits
from app.settings import AdapterSettings, BreakerSettings, SettingsError

UNNAMED: Mapping[str, AdapterFactory] = MappingProxyType(
    {
        "mock": MockAdapter,
        "dspy": DspyAdapter,
        "worker": WorkerAdapter,
    }
)
"""The kinds of which there is an adapter of the same name, without settings."""

BUILT_IN: Mapping[str, AdapterFactory] = MappingProxyType(
    {**UNNAMED, **COMBINATIONS, "remote": RemoteAdapter}
)
"""The factory of each kind."""

WITHOUT_BREAKER = frozenset({"mock", *COMBINATIONS})
"""Kinds that have a breaker only where the settings give one: members have their own."""

SECOND_NAMES: Mapping[str, str] = MappingProxyType({"python_port": "worker"})
"""What a kind is called as well, and so the adapter of its name."""

ENTRY_POINT_GROUP = "dspatch.adapters"
"""Where another package names its factory: `kind = "package.module:factory"`."""


def build_adapters(
    settings: Mapping[str, AdapterSettings], shared: AdapterSetup
) -> Sequence[GuardedAdapter]:
    """Build the adapters of the settings and the unnamed ones; SettingsError where one cannot be.

    `shared` is the setup of all of them, but for names, options and members.
    """
    builder = _Builder(_by_first_names(settings), shared)
    return [builder.build(name) for name in builder.settings]


def first_name(name: str) -> str:
    """Give the name of an adapter or a kind that may be its second."""
    return SECOND_NAMES.get(name, name)


def _by_first_names(settings: Mapping[str, AdapterSettings]) -> Mapping[str, AdapterSettings]:
    for second, first in SECOND_NAMES.items():
        if second in settings and first in settings:
            raise SettingsError(f"adapters.{second}: this is the second name of {first}")
    return {first_name(name): of for name, of in settings.items()}


class _Builder:
    """Builds each adapter once, when it is first asked for: members before what they make up.

    The unnamed ones stand beside those that are `named`.
    """

    def __init__(self, named: Mapping[str, AdapterSettings], shared: AdapterSetup) -> None:
        self.settings = {kind: AdapterSettings(kind=kind) for kind in UNNAMED} | dict(named)
        self._named = named
        self._kinds = find_kinds()
        self._shared = shared
        self._built: dict[str, GuardedAdapter] = {}
        self._path: list[str] = []

    def build(self, name: str) -> GuardedAdapter:
        """Give the adapter of a name; SettingsError where it is made of itself, or cannot be."""
        if name in self._path:
            circle = " > ".join([*self._path[self._path.index(name) :], name])
            raise SettingsError(f"adapters.{name}.members: it would be made of itself: {circle}")
        if name not in self._built:
            self._path.append(name)
            self._built[name] = self._make(name)
            self._path.pop()
        return self._built[name]

    def _make(self, name: str) -> GuardedAdapter:
        of = self.settings[name]
        setup = replace(
            self._shared,
            name=name,
            options=of.options,
            member=self._member,
            is_asked_for=name in self._named,
        )
        return _build(self._kinds, of, setup)

    def _member(self, name: str) -> GuardedAdapter:
        name = first_name(name)
        if name not in self.settings:
            known = ", ".join(sorted(self.settings))
            raise SettingsError(
                f"adapters.{self._path[-1]}.members: there is no adapter {name!r}; "
                f"there are: {known}"
            )
        return self.build(name)


def find_kinds() -> Mapping[str, AdapterFactory | EntryPoint]:
    """Give every kind that is built in or installed; SettingsError where two claim one name."""
    kinds: dict[str, AdapterFactory | EntryPoint] = dict(BUILT_IN)
    for found in entry_points(group=ENTRY_POINT_GROUP):
        if found.name in kinds or found.name in SECOND_NAMES:
            raise SettingsError(
                f"the adapter kind {found.name} of {found.value} is taken by another package"
            )
        kinds[found.name] = found
    return kinds


def _build(
    kinds: Mapping[str, AdapterFactory | EntryPoint], settings: AdapterSettings, setup: AdapterSetup
) -> GuardedAdapter:
    where, kind = f"adapters.{setup.name}", first_name(settings.kind)
    if setup.name in BUILT_IN and kind != setup.name:
        raise SettingsError(f"{where}: this name belongs to the kind {setup.name}")
    if kind not in kinds:
        known = ", ".join(sorted(kinds))
        raise SettingsError(f"{where}: there is no kind {kind!r}; there are: {known}")
    try:
        adapter = _load(kinds[kind])(setup)
    except SettingsError:
        raise
    except Exception as error:
        raise SettingsError(f"{where}: the kind {kind} cannot be used: {error}") from error
    _refuse_incomplete(adapter, where)
    limits = Limits(
        max_concurrency=settings.max_concurrency, max_wait_s=settings.max_wait_ms / 1_000
    )
    clock = setup.clock
    return GuardedAdapter(adapter, _breaker(settings, clock), Limiter(clock, limits), clock)


def _breaker(settings: AdapterSettings, clock: Clock) -> Breaker:
    if settings.breaker is None and settings.kind in WITHOUT_BREAKER:
        return Breaker(clock, math.inf)
    of = settings.breaker or BreakerSettings()
    return Breaker(clock, of.failures, of.open_ms / 1_000)


def _load(kind: AdapterFactory | EntryPoint) -> AdapterFactory:
    if isinstance(kind, EntryPoint):
        factory: AdapterFactory = kind.load()
        return factory
    return kind


def _refuse_incomplete(adapter: Adapter, where: str) -> None:
    missing = [name for name in ("name", "kind", *REQUIRED) if not hasattr(adapter, name)]
    if missing:
        raise SettingsError(f"{where}: the adapter lacks {', '.join(missing)}")
