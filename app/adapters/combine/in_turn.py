"""One member after the other, until one answers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field
from typing_extensions import override

from app.adapters.base import Adapter, ProgramCall, ProgramResult
from app.adapters.combine.combination import (
    CALLERS_OWN,
    Combination,
    CombinationOptions,
    CombinedProgram,
)
from app.adapters.combine.rests import most_telling
from app.adapters.errors import AdapterError
from app.adapters.setup import AdapterSetup, read_options
from app.settings import SettingsError

Weight = Annotated[float, Field(gt=0, le=1_000_000)]


class InTurn(Combination):
    """Calls members in an order, the next one as soon as one fails: nobody waits meanwhile.

    A member that asked for a pause is left out until it is over; one that would have the call
    stand in a line is passed by, unless it is the last.
    """

    def order(self) -> Sequence[Adapter]:
        """Give the members in the order in which this call tries them."""
        return self.members

    @override
    async def run(self, prepared: CombinedProgram, call: ProgramCall) -> ProgramResult:
        awake, failures = prepared.rests.split(self.order(), self._clock.monotonic())
        for member in awake:
            is_last = member is awake[-1]
            own = replace(call, has_substitute=call.has_substitute or not is_last)
            try:
                return await self.call_member(member, prepared, self.for_member(member, own))
            except AdapterError as failure:
                if failure.type in CALLERS_OWN:
                    raise
                failures.append(failure)
            if call.deadline.remaining_s <= 0:
                break
        raise most_telling(failures)


class Failover(InTurn):
    """Always begins with the first member."""

    kind: ClassVar[str] = "failover"

    def __init__(self, setup: AdapterSetup) -> None:
        super().__init__(setup, read_options(setup, CombinationOptions))


class RoundRobin(InTurn):
    """Begins each call with the member after that of the last one."""

    kind: ClassVar[str] = "round_robin"

    def __init__(self, setup: AdapterSetup) -> None:
        super().__init__(setup, read_options(setup, CombinationOptions))
        self._next = 0

    @override
    def order(self) -> Sequence[Adapter]:
        first = self._next
        self._next = (first + 1) % len(self.members)
        return [*self.members[first:], *self.members[:first]]


class WeightedOptions(CombinationOptions):
    """A weight for each member, in the same order."""

    weights: list[Weight]


class Weighted(InTurn):
    """Begins as many calls with each member as its weight says, spread out evenly.

    Each call every member gains its weight, and the one that begins pays what all have gained.
    """

    kind: ClassVar[str] = "weighted"

    def __init__(self, setup: AdapterSetup) -> None:
        options = read_options(setup, WeightedOptions)
        if len(options.weights) != len(options.members):
            raise SettingsError(f"adapters.{setup.name}.weights: give one for each member")
        super().__init__(setup, options)
        self._weights = options.weights
        self._credits = [0.0] * len(options.weights)

    @override
    def order(self) -> Sequence[Adapter]:
        gained = zip(self._credits, self._weights, strict=True)
        self._credits = [credit + weight for credit, weight in gained]
        ranks = sorted(range(len(self.members)), key=lambda at: -self._credits[at])
        self._credits[ranks[0]] -= sum(self._weights)
        return [self.members[at] for at in ranks]
