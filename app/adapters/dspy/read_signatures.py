"""From DSPy's signature classes to ours."""

from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from app.adapters.dspy.python_types import UnknownAnnotationError, read_type
from app.signatures.definition import REQUIRED, FieldDefinition, SignatureDefinition


class UnreadableSignatureError(Exception):
    """Fields of the class cannot be ours; the message says which and why."""


def read_signature(signature: Any) -> SignatureDefinition:
    """Read a `dspy.Signature` class; raises `UnreadableSignatureError` with every fault."""
    faults: list[str] = []
    inputs, outputs = (
        tuple(_field(name, field, faults) for name, field in fields.items())
        for fields in (signature.input_fields, signature.output_fields)
    )
    if faults:
        raise UnreadableSignatureError("; ".join(faults))
    return SignatureDefinition(inputs, outputs, signature.instructions)


def _field(name: str, field: FieldInfo, faults: list[str]) -> FieldDefinition:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    told = str(extra.get("desc", ""))
    description = "" if told == f"${{{name}}}" else told  # what DSPy writes where there is none
    try:
        of = read_type(field.annotation, field.metadata)
    except UnknownAnnotationError as error:
        faults.append(f"{name}: {error}")
        return FieldDefinition(name, read_type(Any))
    has_none = field.default is PydanticUndefined or (field.default is None and of.accepts(None))
    return FieldDefinition(name, of, description, REQUIRED if has_none else field.default)
