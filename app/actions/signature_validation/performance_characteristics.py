"""Step 7: how complex the signature is, and on the deepest level how fast it is."""

import asyncio
from collections.abc import Callable
from random import Random
from statistics import median, quantiles
from typing import Any

import orjson

from app.actions.signature_validation.step import StepOutcome, Subject, Tools
from app.policies.clock import Clock
from app.signatures.compile import CompiledSignature, NoSampleError
from app.signatures.complexity import PASSES_OVER, Complexity
from app.signatures.definition import SignatureDefinition

RUNS = 200
VALUES = 10
LONGEST_MEASURING_S = 1.0
"""Once it has measured for so long, a measurement ends with the runs that it has."""


async def rate_performance(subject: Subject, tools: Tools) -> StepOutcome:
    """Rate the estimates; measure, off the event loop, where the level asks for it."""
    complexity = Complexity.of(subject.draft.definition)
    warnings, rating = complexity.warnings, complexity.rating
    found: dict[str, Any] = {
        "complexity_metrics": {
            "input_complexity": complexity.input_complexity,
            "output_complexity": complexity.output_complexity,
            "total_fields": complexity.total_fields,
            "estimated_validation_time": complexity.estimated_validation_time,
            "estimated_serialization_time": complexity.estimated_serialization_time,
        },
        "performance_warnings": warnings,
        "performance_rating": rating,
    }
    if subject.measures:
        try:
            found["measured"] = await asyncio.to_thread(
                _measured, subject.draft.definition, tools.clock
            )
        except NoSampleError as failure:
            warnings.append(f"nothing was measured, there are no sample values: {failure}")
    passed = rating > PASSES_OVER
    error = None if passed else f"a rating of {rating} is not over {PASSES_OVER}"
    return StepOutcome(passed, found, error)


def _measured(definition: SignatureDefinition, clock: Clock) -> dict[str, Any]:
    signature = CompiledSignature(definition)
    sources = [Random(number) for number in range(VALUES)]  # noqa: S311 - samples are no secrets
    inputs = [signature.sample_inputs(random) for random in sources]
    outputs = [signature.sample_outputs(random) for random in sources]

    def validate(number: int) -> None:
        signature.validate_inputs(inputs[number])
        signature.validate_outputs(outputs[number])

    def write(number: int) -> None:
        orjson.dumps(inputs[number])
        orjson.dumps(outputs[number])

    return {
        "validation_us": _timed(validate, clock),
        "serialization_us": _timed(write, clock),
    }


def _timed(run: Callable[[int], None], clock: Clock) -> dict[str, float]:
    spent: list[float] = []
    began = clock.monotonic()
    while len(spent) < RUNS and clock.monotonic() - began < LONGEST_MEASURING_S:
        started = clock.monotonic()
        run(len(spent) % VALUES)
        spent.append((clock.monotonic() - started) * 1e6)
    return {"median": median(spent), "p99": quantiles([*spent, spent[-1]], n=100)[-1]}
