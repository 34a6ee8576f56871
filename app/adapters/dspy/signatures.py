"""DSPy's signature classes, built out of our parsed types, never out of text."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import dspy  # type: ignore[import-untyped]

from app.adapters.errors import AdapterError, ErrorType
from app.signatures.definition import REQUIRED, FieldDefinition, SignatureDefinition
from app.signatures.types.optional import OptionalType

PRIVILEGED = frozenset({"config", "demos", "lm", "new_signature", "self", "signature"})
"""What `dspy.Predict` takes for itself out of a call's keyword arguments."""

RESERVED = frozenset({"fields", "input_fields", "instructions", "output_fields", "signature"})
"""What every signature class of DSPy has already, and pydantic no field for."""

DSPY_CONSTRAINTS: Mapping[str, str] = {
    "min": "ge",
    "max": "le",
    "min_length": "min_length",
    "max_length": "max_length",
    "multiple_of": "multiple_of",
}
"""Our constraints that DSPy tells the model by itself, by its name of them."""

IMPLIED: Mapping[str, Mapping[str, Any]] = {
    "probability": {"min": 0, "max": 1},
    "confidence_score": {"min": 0, "max": 1},
    "token_count": {"min": 0},
}
"""Constraints that a type has without saying so."""

TOLD_BY_TYPE = frozenset({"one_of"})
"""Constraints that stand in the Python annotation already."""


def build_signature(definition: SignatureDefinition) -> Any:
    """Build a `dspy.Signature` class; `unsupported` names a field that DSPy cannot hold."""
    _refuse_names(definition)
    fields = {field.name: (field.type.annotation(), _input(field)) for field in definition.inputs}
    fields |= {
        field.name: (field.type.annotation(), _output(field)) for field in definition.outputs
    }
    try:
        return dspy.Signature(fields, definition.instructions)
    except Exception as error:
        raise AdapterError(
            ErrorType.UNSUPPORTED, f"DSPy cannot hold this signature ({type(error).__name__})"
        ) from error


def _refuse_names(definition: SignatureDefinition) -> None:
    for field in definition.inputs:
        if field.name in PRIVILEGED:
            raise _unsupported(field, "DSPy takes this name for itself")
    for field in (*definition.inputs, *definition.outputs):
        if field.name in RESERVED or field.name.startswith("_"):
            raise _unsupported(field, "DSPy has no fields of such a name")


def _unsupported(field: FieldDefinition, why: str) -> AdapterError:
    return AdapterError(ErrorType.UNSUPPORTED, f"the field {field.name!r} cannot be used: {why}")


def _input(field: FieldDefinition) -> Any:
    return dspy.InputField(**_description([field.description]))


def _output(field: FieldDefinition) -> Any:
    inner = field.type.inner if isinstance(field.type, OptionalType) else field.type
    constraints = {**IMPLIED.get(inner.name, {}), **inner.constraints}
    arguments = {
        DSPY_CONSTRAINTS[name]: value
        for name, value in constraints.items()
        if name in DSPY_CONSTRAINTS
    }
    default = {} if field.default is REQUIRED else {"default": field.default}
    said = _description([field.description, *_sentences(constraints)])
    return dspy.OutputField(**said, **arguments, **default)


def _sentences(constraints: Mapping[str, Any]) -> Iterator[str]:
    for name, value in constraints.items():
        if name not in DSPY_CONSTRAINTS and name not in TOLD_BY_TYPE:
            words = name.replace("_", " ")
            yield f"Constraint: {words} {json.dumps(value, ensure_ascii=False)}."


def _description(sentences: list[str | None]) -> dict[str, str]:
    text = " ".join(sentence for sentence in sentences if sentence)
    return {"desc": text} if text else {}
