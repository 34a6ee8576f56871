"""How adapters are called: what is kept of a call that failed."""

import weakref

import pytest

from app.adapters.base import ProgramCall, ProgramResult
from app.adapters.calling import call_adapter
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.usage import Usage
from app.signatures.compile import CompiledSignature
from tests.adapters.programs import a_call
from tests.support.adapters import ScriptedAdapter
from tests.support.clock import ManualClock


class Answer:
    """Megabytes, maybe."""


async def test_a_failure_holds_nothing_of_what_came_back() -> None:
    """What a failed call had in hand is given back at once, though its error is kept."""
    seen: list[weakref.ref[Answer]] = []

    async def fail(_: ProgramCall) -> ProgramResult:
        answer = Answer()
        seen.append(weakref.ref(answer))
        raise AdapterError(ErrorType.BACKEND_ERROR, "no luck", usage=Usage(lm_calls=1))

    call = a_call()
    compiled = CompiledSignature(call.program.signature)
    with pytest.raises(AdapterError, match="no luck") as caught:
        await call_adapter(ScriptedAdapter(fail), call, compiled, ManualClock())
    assert seen[0]() is None
    assert caught.value.usage == call.told.usage == Usage(lm_calls=1)
    assert call.told.error is not None
    assert (call.told.error.type, call.told.error.__traceback__) == ("backend_error", None)
