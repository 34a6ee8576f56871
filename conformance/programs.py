"""Programs to test adapters with."""

import math
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from app.adapters.base import UNBOUNDED, Program, ProgramCall
from app.policies.deadline import Deadline
from app.signatures.notation import parse_notation

NOTATION = 'question: string -> answer: string, mood: atom["good", "bad"], score: probability'


def a_program(
    notation: str = NOTATION,
    *,
    module: str = "predict",
    config: Mapping[str, Any] | None = None,
    instructions: str = "",
    program_id: UUID | None = None,
    revision: int = 1,
) -> Program:
    """Give a program with a signature of this notation."""
    return Program(
        program_id=program_id or uuid4(),
        revision=revision,
        name="triage",
        module=module,
        signature=parse_notation(notation, instructions),
        config=config or {},
    )


def a_call(
    program: Program | None = None,
    *,
    attempt: int = 1,
    timeout_s: float = math.inf,
    deadline: Deadline = UNBOUNDED,
    **inputs: Any,
) -> ProgramCall:
    """Give a call of a program."""
    return ProgramCall(
        program or a_program(),
        inputs or {"question": "How are you?"},
        attempt=attempt,
        timeout_s=timeout_s,
        deadline=deadline,
    )
