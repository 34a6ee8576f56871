"""Signatures as values: fields in, fields out, and instructions."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from app.signatures.faults import SignatureError
from app.signatures.field import REQUIRED, FieldDefinition
from app.signatures.reader import FieldReader

__all__ = ["REQUIRED", "FieldDefinition", "Side", "SignatureDefinition", "SignatureError"]


class Side(StrEnum):
    """Which fields of a signature are meant."""

    INPUTS = "inputs"
    """What a caller gives."""
    OUTPUTS = "outputs"
    """What a model answers."""


@dataclass(frozen=True)
class SignatureDefinition:
    """A typed contract without a name: what goes in, what comes out, and what to do."""

    inputs: tuple[FieldDefinition, ...]
    outputs: tuple[FieldDefinition, ...]
    instructions: str = ""

    @classmethod
    def from_documents(
        cls,
        inputs: Sequence[Mapping[str, Any]],
        outputs: Sequence[Mapping[str, Any]],
        instructions: str = "",
    ) -> Self:
        """Read what `as_document` of each field wrote, or raise `SignatureError`."""
        reader = FieldReader()
        definition = cls(
            reader.side("inputs", inputs), reader.side("outputs", outputs), instructions
        )
        if reader.faults:
            raise SignatureError(reader.faults)
        return definition

    def fields(self, side: Side) -> tuple[FieldDefinition, ...]:
        """Give the fields of one side."""
        return self.inputs if side is Side.INPUTS else self.outputs

    @property
    def notation(self) -> str:
        """The canonical notation, which holds neither instructions nor descriptions."""
        inputs = ", ".join(field.notation for field in self.inputs)
        outputs = ", ".join(field.notation for field in self.outputs)
        return f"{inputs} -> {outputs}"

    @property
    def content_hash(self) -> str:
        """The SHA-256 of everything in the definition, in hexadecimal digits."""
        content = {
            "inputs": [field.as_document() for field in self.inputs],
            "outputs": [field.as_document() for field in self.outputs],
            "instructions": self.instructions,
        }
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
