"""A call whose time is over."""

import pytest

from app.adapters.calling import call_adapter
from app.adapters.errors import AdapterError, ErrorType
from app.policies.clock import SystemClock
from app.signatures.compile import CompiledSignature
from conformance.harness import Harness
from conformance.programs import a_call, a_program


async def test_is_given_up_in_time(harness: Harness) -> None:
    """A back-end that does not answer costs the call's timeout, and nothing runs on."""
    call = a_call(a_program(config=harness.hanging()), timeout_s=0.5)
    compiled = CompiledSignature(call.program.signature)
    with pytest.raises(AdapterError) as caught:
        await call_adapter(harness.adapter, call, compiled, SystemClock())
    assert caught.value.type is ErrorType.TIMEOUT
    assert (await harness.adapter.get_stats()).in_flight == 0
