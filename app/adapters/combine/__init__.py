"""Adapters made of adapters: they take turns, stand in for each other, race or vote."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from app.adapters.combine.combination import Combination
from app.adapters.combine.consensus import Consensus
from app.adapters.combine.in_turn import Failover, RoundRobin, Weighted
from app.adapters.combine.race import Fastest, Hedged
from app.adapters.setup import AdapterSetup

COMBINATIONS: Mapping[str, Callable[[AdapterSetup], Combination]] = MappingProxyType(
    {
        "failover": Failover,
        "round_robin": RoundRobin,
        "weighted": Weighted,
        "hedged": Hedged,
        "fastest": Fastest,
        "consensus": Consensus,
    }
)
"""The factory of each kind; none exists without settings, which name its members."""
