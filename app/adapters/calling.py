"""How an adapter is called: within its time, its outputs validated, and told as an attempt."""

import asyncio
import logging
from dataclasses import replace
from typing import Any

from app.adapters.base import Adapter, ProgramCall, ProgramResult, members_of
from app.adapters.errors import AdapterError, ErrorType
from app.policies.clock import Clock
from app.signatures.compile import CompiledSignature, ValuesError
from app.telemetry.tracing import spanning

logger = logging.getLogger(__name__)


async def call_adapter(
    adapter: Adapter, call: ProgramCall, compiled: CompiledSignature, clock: Clock
) -> ProgramResult:
    """Give a result with validated outputs, and keep in `call.told` how the call went.

    Every failure is an AdapterError. Outputs that do not fit the signature are one too.
    """
    told, began = call.told, clock.monotonic()
    told.adapter, told.started_at = adapter.name, clock.now()
    try:
        with spanning(f"call {adapter.name}", {"dspatch.adapter": adapter.name}):
            result = _validated(await _bounded(adapter, call), compiled)
    except AdapterError as failure:
        error = failure.bare()
    else:
        told.adapter, told.usage, told.error = result.adapter, result.usage, None
        return result
    finally:
        told.duration_ms = round((clock.monotonic() - began) * 1_000, 3)
    told.usage = error.usage
    told.fail(error)
    raise error.bare()  # what is told is not raised: it would hold this frame, and so itself


async def _bounded(adapter: Adapter, call: ProgramCall) -> ProgramResult:
    """Call the adapter within the time that there is; a combination sees to its members' own."""
    seconds = call.deadline.remaining_s if members_of(adapter) else call.seconds
    try:
        async with asyncio.timeout(seconds):
            return await adapter.execute_program(call)
    except AdapterError:
        raise
    except TimeoutError:
        message = f"No answer within {seconds * 1_000:.0f} ms."
        raise AdapterError(ErrorType.TIMEOUT, message, usage=call.told.spent) from None
    except Exception as error:
        logger.exception("adapter %s raised what is no AdapterError", adapter.name)
        message = f"The adapter failed: {type(error).__name__}."
        raise AdapterError(ErrorType.UNEXPECTED, message, usage=call.told.spent) from error


def _validated(result: ProgramResult, compiled: CompiledSignature) -> ProgramResult:
    try:
        return replace(result, outputs=compiled.validate_outputs(result.outputs))
    except ValuesError as error:
        raise _invalid(error, result) from None


def _invalid(error: ValuesError, result: ProgramResult) -> AdapterError:
    raw: Any = result.raw_output if result.raw_output is not None else result.outputs
    return AdapterError(
        ErrorType.OUTPUT_INVALID,
        "The outputs do not fit the signature: "
        + "; ".join(f"{fault.path}: {fault.message}" for fault in error.faults),
        context={"faults": [fault.as_document() for fault in error.faults]},
        raw_output=raw,
        usage=result.usage,
    )
