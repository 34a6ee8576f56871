"""How fast inputs are validated, beside a hand-written pydantic model of the same shape.

Prints microseconds of both and the ratio of their speeds: `make bench-validation`.
"""

import gc
from statistics import median
from time import perf_counter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.signatures.compile import CompiledSignature
from app.signatures.notation import parse_notation

NOTATION = (
    "question: constrained[string, max_length=200], limit: constrained[integer, min=1, max=100], "
    'tags: list[string], threshold: probability, mood: atom["good", "bad"] -> answer'
)
VALUES: dict[str, Any] = {
    "question": "What is the capital of France?",
    "limit": 10,
    "tags": ["geography", "europe", "capitals"],
    "threshold": 0.75,
    "mood": "good",
}
CALLS = 20_000
ROUNDS = 15


class Inputs(BaseModel):
    """What somebody would write by hand."""

    model_config = ConfigDict(strict=True, extra="forbid")

    question: Annotated[str, Field(max_length=200)]
    limit: Annotated[int, Field(ge=1, le=100)]
    tags: list[str]
    threshold: Annotated[float, Field(ge=0, le=1)]
    mood: Literal["good", "bad"]


def measure() -> tuple[float, float]:
    """Give microseconds per validation, ours and pydantic's: medians of interleaved rounds."""
    ours = CompiledSignature(parse_notation(NOTATION)).validate_inputs
    theirs = Inputs.model_validate
    rounds = [(_microseconds(ours), _microseconds(theirs)) for _ in range(ROUNDS)]
    return median(of_ours for of_ours, _ in rounds), median(of_theirs for _, of_theirs in rounds)


def _microseconds(validate: Any) -> float:
    gc.disable()
    began = perf_counter()
    for _ in range(CALLS):
        validate(VALUES)
    spent = perf_counter() - began
    gc.enable()
    return spent / CALLS * 1e6


if __name__ == "__main__":
    of_ours, of_theirs = measure()
    print(f"dspatch   {of_ours:.2f} µs")
    print(f"pydantic  {of_theirs:.2f} µs")
    print(f"ratio     {of_theirs / of_ours:.2f} of pydantic's speed (wanted: 0.8)")
