"""Check: a real execution of a small program on each adapter, which calls its model, once."""

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID

from app.actions.health_monitoring.adapter_status import of_adapters
from app.actions.health_monitoring.check import CheckStatus, Finding, Tools
from app.adapters.base import HasChildren, Program, ProgramCall
from app.adapters.calling import call_adapter
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.guarded import GuardedAdapter
from app.policies.deadline import Deadline
from app.signatures.compile import CompiledSignature
from app.signatures.notation import parse_notation

LIMIT_S = 30.0
"""The longest that one adapter may take: one that has to start its children first needs seconds."""

PROGRAM_ID = UUID(int=0xD15BA7C4)
"""The same each time, so that another Dspatch, which registers the program, has it once."""

MOST_TOKENS = 256

_SIGNATURE = parse_notation("question: string -> answer: string", "Answer with one word.")
_INPUTS = {"question": "Are you there?"}


async def probe_adapters(tools: Tools) -> Finding:
    """Run the program on all adapters side by side; nothing of it is recorded."""
    adapters = tools.adapters
    program = _program(tools)
    names = adapters.names()
    answers = await asyncio.gather(*(_probed(adapters.get(name), program, tools) for name in names))
    for adapter in adapters:
        if isinstance(adapter.inner, HasChildren):  # each that holds it has a part of its LM
            with suppress(AdapterError):
                await adapter.delete_program(PROGRAM_ID)
    result = dict(zip(names, answers, strict=True))
    healthy = sum(answer["status"] == CheckStatus.HEALTHY for answer in answers)
    return Finding(of_adapters(healthy=healthy, total=len(answers)), result)


def _program(tools: Tools) -> Program:
    """Make the program; of several LMs the first is asked, a single one need not be named."""
    lms = sorted(tools.lms)
    named = {"lm": lms[0]} if len(lms) > 1 else {}
    config = {**named, "max_tokens": MOST_TOKENS}
    return Program(PROGRAM_ID, 1, "dspatch_probe", "predict", _SIGNATURE, config)


async def _probed(adapter: GuardedAdapter, program: Program, tools: Tools) -> dict[str, Any]:
    deadline = Deadline(tools.clock, LIMIT_S)
    call = ProgramCall(program, _INPUTS, timeout_s=LIMIT_S, deadline=deadline)
    status, error = CheckStatus.HEALTHY, None
    try:
        await call_adapter(adapter, call, CompiledSignature(_SIGNATURE), tools.clock)
    except AdapterError as failure:
        # A model that has answered is there, be it too small for the form of the answer.
        has_answered = failure.type is ErrorType.OUTPUT_INVALID
        status = CheckStatus.WARNING if has_answered else CheckStatus.ERROR
        error = f"{failure.type}: {failure.message}"
    return {"status": status, "latency_ms": call.told.duration_ms, "error": error}
