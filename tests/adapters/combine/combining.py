"""Combinations of adapters whose calls end as tests say."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from app.adapters.base import Adapter, ProgramCall, ProgramResult
from app.adapters.combine.combination import Combination
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.setup import AdapterSetup
from app.adapters.usage import Usage
from app.policies.clock import Clock
from tests.support.clock import ManualClock

OUTPUTS = {"answer": "Fine.", "mood": "good", "score": 0.5}


def says(name: str, **outputs: Any) -> ProgramResult:
    """Give the result of a member, which cost two tokens."""
    return ProgramResult(OUTPUTS | outputs, name, raw_output=name, usage=Usage(1, 1, 2, 1))


def fails(
    error_type: ErrorType = ErrorType.OVERLOADED, retry_after: float | None = None
) -> AdapterError:
    """Give the failure of a member, which cost a call."""
    return AdapterError(error_type, "no luck", retry_after=retry_after, usage=Usage(lm_calls=1))


def combined(
    kind: Callable[[AdapterSetup], Combination],
    *members: Adapter,
    clock: Clock | None = None,
    **options: Any,
) -> Combination:
    """Make a combination of these members."""
    by_name = {member.name: member for member in members}
    names = [member.name for member in members]
    setup = AdapterSetup(
        "all",
        {"members": names, **options},
        clock=clock or ManualClock(),
        member=by_name.__getitem__,
    )
    return kind(setup)


class Hang:
    """Does not answer, and knows how often it was stopped."""

    def __init__(self) -> None:
        self.stops = 0

    async def __call__(self, call: ProgramCall) -> ProgramResult:
        """Spend a call, and wait to be stopped."""
        call.told.usage = Usage(lm_calls=1)
        try:
            await asyncio.Event().wait()
        finally:
            self.stops += 1
        raise AssertionError


async def failure_of(adapter: Adapter, call: ProgramCall) -> AdapterError:
    """Run a call that fails."""
    with pytest.raises(AdapterError) as caught:
        await adapter.execute_program(call)
    return caught.value


def told(call: ProgramCall) -> Sequence[tuple[str, str | None]]:
    """Give the members that were called, with the types of their errors."""
    return [
        (leaf.adapter, None if leaf.error is None else leaf.error.type.value)
        for leaf in call.told.leaves()
    ]
