"""From the API's fields to a definition."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.signatures.definition import SignatureDefinition


def parse_definition(
    inputs: Sequence[Mapping[str, Any]],
    outputs: Sequence[Mapping[str, Any]],
    instructions: str = "",
) -> SignatureDefinition:
    """Read fields `{name, type, constraints?, description?, default?}`.

    Raises `SignatureError` with every fault, at paths like `/inputs/0/constraints/min`.
    """
    return SignatureDefinition.from_documents(inputs, outputs, instructions)
