"""Adapters made of adapters: they take turns, stand in for each other, race or vote."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from app.adapters.combine.combination import Combination
from app.adapters.combine.failover import Failover
from app.adapters.setup import AdapterSetup

COMBINATIONS: Mapping[str, Callable[[AdapterSetup], Combination]] = MappingProxyType(
    {"failover": Failover}
)
"""The factory of each kind; none exists without settings, which name its members."""
