"""Source text of Python: a pydantic model of one side, and the whole as a `dspy.Signature`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.signatures.definition import Side
from app.signatures.field import REQUIRED, FieldDefinition
from app.signatures.serializers.base import NamedSignature, Serialized
from app.signatures.serializers.json_schema import schema_notes
from app.signatures.serializers.names import class_name
from app.signatures.serializers.python_source import USED, PythonSource, literal

_HEAD = """from typing import Annotated, Any, Literal

import dspy
from pydantic import BaseModel, Field"""
_KINDS: Mapping[Side, str] = {Side.INPUTS: "dspy.InputField", Side.OUTPUTS: "dspy.OutputField"}


def serialize(signature: NamedSignature, side: Side) -> Serialized:
    """Write a module that defines both classes; it needs pydantic and DSPy to be imported."""
    name = class_name(signature.name)
    everything = (*signature.definition.inputs, *signature.definition.outputs)
    own = (name, f"{name}{side.title()}")
    source = PythonSource(reserved=[*own, *(field.name for field in everything)])
    fields = signature.definition.fields(side)
    model = [
        f"class {name}{side.title()}(BaseModel):",
        f'    """The {side} of {signature.name}."""\n',
        *_lines(fields, "Field", "description", source),
    ]
    notes = [*schema_notes(fields), *source.notes]
    whole = [f"class {name}(dspy.Signature):", *_docstring(signature.definition.instructions)]
    for each in Side:
        whole += _lines(signature.definition.fields(each), _KINDS[each], "desc", source)
    parts = [_HEAD, *source.classes, "\n".join(model), "\n".join(whole)]
    return Serialized("\n\n\n".join(parts) + "\n", tuple(notes), tuple(_refusals(signature)))


def _refusals(signature: NamedSignature) -> Iterator[str]:
    for each in Side:
        for field in signature.definition.fields(each):
            if field.name in USED or field.name.startswith("_"):
                yield f"{field.name}: no field of these classes can have this name"


def _docstring(text: str) -> Iterator[str]:
    if text:
        yield f"    {literal(text)}\n"


def _lines(
    fields: Sequence[FieldDefinition], call: str, described_as: str, source: PythonSource
) -> Iterator[str]:
    for field in fields:
        annotation, arguments = source.typed(field.type.json_schema(), field.name)
        if field.description:
            arguments[described_as] = field.description
        told = {**_default(field), **arguments}
        given = ", ".join(f"{name}={literal(value)}" for name, value in told.items())
        yield f"    {field.name}: {annotation} = {call}({given})"


def _default(field: FieldDefinition) -> dict[str, Any]:
    if field.is_required:
        return {}
    return {"default": None if field.default is REQUIRED else field.default}
