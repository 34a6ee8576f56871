"""Several members at once, whose answers are put together field by field."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

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
from app.adapters.combine.votes import Vote, vote_by_field
from app.adapters.errors import AdapterError
from app.adapters.setup import AdapterSetup, read_options
from app.settings import SettingsError


class ConsensusOptions(CombinationOptions):
    """How many members have to answer; without it, more than half of them."""

    quorum: Annotated[int, Field(ge=1)] | None = None


class Consensus(Combination):
    """Calls all members and waits for all; a field is what most say, a number their median."""

    kind: ClassVar[str] = "consensus"

    def __init__(self, setup: AdapterSetup) -> None:
        options = read_options(setup, ConsensusOptions)
        super().__init__(setup, options)
        self.enough = options.quorum or len(self.members) // 2 + 1
        if self.enough > len(self.members):
            raise SettingsError(f"adapters.{setup.name}.quorum: there are fewer members")

    @override
    async def run(self, prepared: CombinedProgram, call: ProgramCall) -> ProgramResult:
        awake, failures = prepared.rests.split(self.members, self._clock.monotonic())
        if len(awake) < self.enough:
            raise most_telling(failures)
        results = []
        for answer in await self._answers(awake, prepared, call):
            if isinstance(answer, ProgramResult):
                results.append(answer)
            elif isinstance(answer, AdapterError) and answer.type not in CALLERS_OWN:
                failures.append(answer)
            else:
                raise answer
        if len(results) < self.enough:
            raise most_telling(failures)
        return self._put_together(results)

    async def _answers(
        self, members: Sequence[Adapter], program: CombinedProgram, call: ProgramCall
    ) -> Sequence[ProgramResult | BaseException]:
        calls = [
            self.call_member(member, program, self.for_member(member, call)) for member in members
        ]
        return await asyncio.gather(*calls, return_exceptions=True)

    def _put_together(self, results: Sequence[ProgramResult]) -> ProgramResult:
        votes = vote_by_field([result.outputs for result in results])
        said = [{"adapter": of.adapter, "raw_output": of.raw_output} for of in results]
        details = {
            "agreement": {name: vote.agreement for name, vote in votes.items()},
            "outvoted": list(_outvoted(results, votes)),
        }
        outputs = {name: vote.value for name, vote in votes.items()}
        return ProgramResult(outputs, self.name, raw_output=said, details=details)


def _outvoted(
    results: Sequence[ProgramResult], votes: Mapping[str, Vote]
) -> Sequence[Mapping[str, Any]]:
    """Say of each member in which fields it was not followed, if any."""
    fields = [
        [name for name, vote in votes.items() if not vote.agrees[at]] for at in range(len(results))
    ]
    return [
        {"adapter": result.adapter, "fields": of}
        for result, of in zip(results, fields, strict=True)
        if of
    ]
