"""Step 4: sample values, valid ones, boundaries and wrong ones, run through the validator."""

import asyncio
import json
from itertools import islice
from random import Random
from typing import Any

from pydantic import ValidationError

from app.actions.signature_validation.step import StepOutcome, Subject, Tools
from app.signatures.definition import FieldDefinition, Side
from app.signatures.faults import faults_of, shown
from app.signatures.types.sampling import Sample

MOST_SAMPLES = 200
"""Of a field's samples so many are tried: those of types in types in types add up."""

LONGEST_VALUE = 200
"""A value whose JSON has more characters is cut in the report."""


async def try_constraints(subject: Subject, _: Tools) -> StepOutcome:
    """Try every field's type with its samples; the validator must do as each one says."""
    return await asyncio.to_thread(_try, subject)


def _try(subject: Subject) -> StepOutcome:
    validations = [
        _validation(field, side) for side in Side for field in subject.draft.definition.fields(side)
    ]
    failed = [found["field"] for found in validations if not found["all_passed"]]
    found = {"all_constraints_working": not failed, "constraint_validations": validations}
    error = f"the constraints do not work as they should: {', '.join(failed)}" if failed else None
    return StepOutcome(not failed, found, error)


def _validation(field: FieldDefinition, side: Side) -> dict[str, Any]:
    random = Random(field.name)  # noqa: S311 - the same report each time
    results = [
        _result(field, sample) for sample in islice(field.type.samples(random), MOST_SAMPLES)
    ]
    return {
        "field": field.name,
        "side": side,
        "type": field.type.bare,
        "constraints": dict(field.type.constraints),
        "test_results": results,
        "all_passed": all(result["passed"] for result in results),
    }


def _result(field: FieldDefinition, sample: Sample) -> dict[str, Any]:
    refusal = _refusal(field, sample.value)
    result = {
        "value": _cut(sample.value),
        "must_pass": sample.must_pass,
        "passed": sample.must_pass is (refusal is None),
    }
    return result if refusal is None else {**result, "error": refusal}


def _refusal(field: FieldDefinition, value: Any) -> str | None:
    try:
        field.type.validate(value)
    except ValidationError as error:
        return next(faults_of(error, called=field.name)).message
    return None


def _cut(value: Any) -> Any:
    return value if len(json.dumps(value)) <= LONGEST_VALUE else shown(value)
