"""The limits of the operator's LMs: one line for each, whichever adapters ask it."""

from collections.abc import Collection, Mapping
from typing import Any

from app.policies.clock import Clock
from app.policies.limiter import Limiter
from app.policies.limits import Limits
from app.settings import LMSettings

LMParts = Mapping[str, Limits]
"""What one process may ask of each LM, by its name."""


class LMLimiters:
    """The lines of this process, by the names of their LMs.

    The limits of an LM hold for all who may ask it together; each line keeps to its part.
    """

    def __init__(self, lms: Mapping[str, LMSettings], clock: Clock) -> None:
        self._whole = {name: limits_of(lm) for name, lm in lms.items()}
        self._limiters = {name: Limiter(clock, limits) for name, limits in self._whole.items()}

    def __getitem__(self, name: str) -> Limiter:
        return self._limiters[name]

    @property
    def parts(self) -> LMParts:
        """What this process, and each of its children, may ask now."""
        return {name: limiter.limits for name, limiter in self._limiters.items()}

    def divide(self, holders: Mapping[str, int]) -> None:
        """Share each LM with so many, this process included; who is not named holds its own."""
        wholes = self._whole.items()
        self.set({name: whole.divided(holders.get(name, 1)) for name, whole in wholes})

    def set(self, parts: LMParts) -> None:
        """Keep to these parts from now on."""
        for name, part in parts.items():
            if part != self._limiters[name].limits:
                self._limiters[name].set(part)


def lms_of(config: Mapping[str, Any], known: Collection[str]) -> set[str]:
    """Give the LMs that a program of this config may ask, of those that are known."""
    own, of_predictors = config.get("lm"), config.get("lms")
    named = {own, *(of_predictors.values() if isinstance(of_predictors, Mapping) else ())}
    is_only_one = own is None and len(known) == 1
    return {name for name in known if name in named or is_only_one}


def limits_of(lm: LMSettings) -> Limits:
    """Give the limits that the settings of an LM hold."""
    return Limits(
        max_concurrency=lm.max_concurrency,
        requests_per_minute=lm.requests_per_minute,
        tokens_per_minute=lm.tokens_per_minute,
        interactive_share=lm.interactive_share,
        max_wait_s=lm.max_wait_ms / 1_000,
    )
