"""What the OpenAPI document cannot say, said to schemathesis: which sound bodies are accepted.

A schema cannot tell a notation from a text, nor which inputs a program takes. Where schemathesis
tries sequences of calls, such members get values that are accepted, so that what comes after them
is tried on signatures, programs and executions that are there.
"""

from collections.abc import Callable
from typing import Any

import schemathesis
from schemathesis.generation.meta import TestPhase

Body = dict[str, Any]


def _accept_signature(body: Body) -> None:
    body.pop("inputs", None)
    body.pop("outputs", None)
    body["notation"] = "question: str, count: int = 3 -> answer: str, sure: bool"


def _accept_setup(body: Body) -> None:
    body["adapter"] = "mock"
    body["config"] = {}


def _accept_program(body: Body) -> None:
    _accept_setup(body)
    body["module"] = "predict"
    body.pop("state", None)


def _accept_execution(body: Body) -> None:
    body["inputs"] = {"question": "What is the capital of France?"}


_ACCEPT: dict[str, Callable[[Body], None]] = {
    "POST /v1/signatures": _accept_signature,
    "POST /v1/programs": _accept_program,
    "PATCH /v1/programs/{program_id}": _accept_setup,
    "POST /v1/programs/{program_id}/executions": _accept_execution,
}


@schemathesis.hook
def before_call(
    _context: schemathesis.HookContext, case: schemathesis.Case[Any], _options: dict[str, Any]
) -> None:
    """Make sound bodies of sequences acceptable; unsound ones stay as they are."""
    accept = _ACCEPT.get(case.operation.label)
    meta = case.meta
    if accept is None or meta is None or meta.phase.name is not TestPhase.STATEFUL:
        return
    if meta.generation.mode.is_positive and isinstance(case.body, dict):
        accept(case.body)
