"""The targets that a signature can be written for: a file each, and a line each here."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from app.signatures.serializers import (
    anthropic_function,
    json_schema,
    openai_function,
    python_type,
)
from app.signatures.serializers.base import NamedSignature, Serialized, Serializer

__all__ = ["SERIALIZERS", "NamedSignature", "Serialized", "Serializer", "Target"]


class Target(StrEnum):
    """What a signature can be written for."""

    JSON_SCHEMA = "json_schema"
    OPENAI_FUNCTION = "openai_function"
    ANTHROPIC_FUNCTION = "anthropic_function"
    PYTHON_TYPE = "python_type"


SERIALIZERS: Mapping[Target, Serializer] = MappingProxyType(
    {
        Target.JSON_SCHEMA: json_schema.serialize,
        Target.OPENAI_FUNCTION: openai_function.serialize,
        Target.ANTHROPIC_FUNCTION: anthropic_function.serialize,
        Target.PYTHON_TYPE: python_type.serialize,
    }
)
"""How each target is written."""
