"""One member after the other, until one answers."""

from collections.abc import Sequence
from typing import ClassVar

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


class InTurn(Combination):
    """Calls members in an order, the next one as soon as one fails: nobody waits meanwhile.

    A member that asked for a pause is left out until it is over.
    """

    def order(self) -> Sequence[Adapter]:
        """Give the members in the order in which this call tries them."""
        return self.members

    @override
    async def run(self, prepared: CombinedProgram, call: ProgramCall) -> ProgramResult:
        awake, failures = prepared.rests.split(self.order(), self._clock.monotonic())
        for member in awake:
            try:
                return await self.call_member(member, prepared, call)
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
