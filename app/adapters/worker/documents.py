"""The adapters' values as messages hold them, and back."""

import math
from collections.abc import Mapping

from app.adapters.base import Program, ProgramCall, ProgramResult
from app.adapters.errors import AdapterError
from app.adapters.lm_limits import limits_of
from app.adapters.setup import AdapterSetup
from app.adapters.worker.messages import Document, Execute, Failure, ProgramDocument, Result
from app.settings import LMSettings
from app.signatures.definition import SignatureDefinition

_KEYS = {"api_key", "api_key_env", "api_key_file"}


def program_document(program: Program) -> ProgramDocument:
    """Write a program."""
    signature = program.signature
    return ProgramDocument(
        program_id=program.program_id,
        revision=program.revision,
        name=program.name,
        module=program.module,
        inputs=tuple(field.as_document() for field in signature.inputs),
        outputs=tuple(field.as_document() for field in signature.outputs),
        instructions=signature.instructions,
        config=dict(program.config),
        state=None if program.state is None else dict(program.state),
    )


def read_program(document: ProgramDocument) -> Program:
    """Read a program."""
    return Program(
        program_id=document.program_id,
        revision=document.revision,
        name=document.name,
        module=document.module,
        signature=SignatureDefinition.from_documents(
            document.inputs, document.outputs, document.instructions
        ),
        config=document.config,
        state=document.state,
    )


def execute_message(message_id: int, call: ProgramCall) -> Execute:
    """Write a call of a program that the child holds."""
    return Execute(
        id=message_id,
        program_id=call.program.program_id,
        revision=call.program.revision,
        inputs=dict(call.inputs),
        config=dict(call.config),
        attempt=call.attempt,
        repair=call.repair,
        is_traced=call.trace is not None,
        priority=call.priority,
        seconds=_left_s(call),
        has_substitute=call.has_substitute,
    )


def _left_s(call: ProgramCall) -> float | None:
    """Give the time that a call has left, without what it has waited; None without limit."""
    left_s = call.deadline.cap(call.timeout_s - call.told.waited_s)
    return None if left_s == math.inf else max(0.0, left_s)


def read_call(program: Program, message: Execute) -> ProgramCall:
    """Read a call."""
    return ProgramCall(
        program=program,
        inputs=message.inputs,
        config=message.config,
        attempt=message.attempt,
        repair=message.repair,
        trace=[] if message.is_traced else None,
        priority=message.priority,
        timeout_s=math.inf if message.seconds is None else message.seconds,
        has_substitute=message.has_substitute,
    )


def result_message(message_id: int, call: ProgramCall, result: ProgramResult) -> Result:
    """Write what a call gave."""
    return Result(
        id=message_id,
        outputs=dict(result.outputs),
        raw_output=result.raw_output,
        usage=result.usage,
        details=None if result.details is None else dict(result.details),
        trace=_trace(call),
        waited_s=call.told.waited_s,
    )


def read_result(message: Result, adapter: str) -> ProgramResult:
    """Read what a call gave, as an adapter of this name."""
    return ProgramResult(
        outputs=message.outputs,
        adapter=adapter,
        raw_output=message.raw_output,
        usage=message.usage,
        details=message.details,
    )


def failure_message(
    message_id: int, error: AdapterError, call: ProgramCall | None = None
) -> Failure:
    """Write what went wrong."""
    return Failure(
        id=message_id,
        type=error.type,
        message=error.message,
        context=error.context,
        retry_after=error.retry_after,
        raw_output=error.raw_output,
        usage=error.usage,
        trace=() if call is None else _trace(call),
        waited_s=0.0 if call is None else call.told.waited_s,
    )


def read_failure(message: Failure) -> AdapterError:
    """Read what went wrong."""
    return AdapterError(
        message.type,
        message.message,
        context=message.context,
        retry_after=message.retry_after,
        raw_output=message.raw_output,
        usage=message.usage,
    )


def lm_documents(setup: AdapterSetup, processes: int) -> dict[str, Document]:
    """Write the LMs for one child of so many: keys resolved, and its first part of the limits."""
    return {name: _lm_document(lm, setup.environment, processes) for name, lm in setup.lms.items()}


def read_lms(documents: Mapping[str, Document]) -> dict[str, LMSettings]:
    """Read the LMs."""
    return {name: LMSettings.model_validate(of) for name, of in documents.items()}


def _lm_document(lm: LMSettings, environment: Mapping[str, str], processes: int) -> Document:
    part = limits_of(lm).divided(processes)
    return {
        **lm.model_dump(mode="json", exclude=_KEYS),
        "api_key": lm.key(environment),
        "max_concurrency": part.max_concurrency,
        "requests_per_minute": part.requests_per_minute,
        "tokens_per_minute": part.tokens_per_minute,
    }


def _trace(call: ProgramCall) -> tuple[Document, ...]:
    return tuple(map(dict, call.trace or ()))
