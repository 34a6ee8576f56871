"""Failures in the one vocabulary."""

import json

import pytest

from app.adapters.errors import RECOVERABLE, AdapterError, ErrorType
from conformance.harness import ALL_ERRORS, Harness
from conformance.programs import a_call, a_program


async def failure_of(harness: Harness, error_type: ErrorType) -> AdapterError:
    """Run a program that fails so."""
    call = a_call(a_program(config=harness.failing(error_type)))
    with pytest.raises(AdapterError) as caught:
        await harness.adapter.execute_program(call)
    return caught.value


@pytest.mark.parametrize("error_type", ALL_ERRORS)
async def test_says_what_went_wrong(harness: Harness, error_type: ErrorType) -> None:
    """Every failure of the back-end has its type, says whether to try again, and is JSON."""
    error = await failure_of(harness, error_type)
    assert error.type is error_type
    assert error.recoverable == (error_type in RECOVERABLE)
    assert json.loads(json.dumps(error.as_document()))["message"]


@pytest.mark.parametrize("error_type", ALL_ERRORS)
async def test_counts_what_it_cost(harness: Harness, error_type: ErrorType) -> None:
    """A call that failed was a call all the same."""
    cost = (await failure_of(harness, error_type)).usage
    assert 1 <= cost.lm_calls <= harness.most_calls


async def test_says_how_long_to_wait(harness: Harness) -> None:
    """A rate limit that says for how long is passed on, in seconds."""
    assert (await failure_of(harness, ErrorType.RATE_LIMITED)).retry_after == 7


async def test_succeeds_after_a_failure(harness: Harness) -> None:
    """A failure leaves nothing behind that would spoil the next call."""
    await failure_of(harness, ErrorType.CONNECTION_FAILED)
    result = await harness.adapter.execute_program(a_call(a_program(config=harness.answering())))
    assert result.outputs


async def test_refuses_a_config_that_is_wrong(harness: Harness) -> None:
    """A config that no call could use is refused before there is one."""
    program = a_program(config=harness.wrong())
    with pytest.raises(AdapterError) as caught:
        await harness.adapter.create_program(program)
    assert caught.value.type in {ErrorType.INVALID_REQUEST, ErrorType.UNSUPPORTED}
