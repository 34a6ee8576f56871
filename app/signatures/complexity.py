"""How complex a signature is, and what that lets expect: the mission's formulas, section 4."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.signatures.definition import FieldDefinition, SignatureDefinition
from app.signatures.types.base import FieldType
from app.signatures.types.union import UnionType

OF_A_CONSTRAINT = 0.5
MANY_FIELDS = 20
SLOW_VALIDATION_US = 1_000
COMPLEX_INPUTS = 50
PASSES_OVER = 50

_VALIDATION_US = 10
_SERIALIZATION_US = 50


@dataclass(frozen=True)
class Complexity:
    """What the fields of a signature add up to; times in whole µs."""

    input_complexity: float
    output_complexity: float
    total_fields: int
    estimated_validation_time: int
    estimated_serialization_time: int

    @classmethod
    def of(cls, definition: SignatureDefinition) -> "Complexity":
        """Add the fields up; times are fields by 10 (by 50) by the mean complexity."""
        inputs, outputs = _sum(definition.inputs), _sum(definition.outputs)
        fields = len(definition.inputs) + len(definition.outputs)
        mean = (inputs + outputs) / fields if fields else 0.0
        return cls(
            inputs,
            outputs,
            fields,
            round(fields * _VALIDATION_US * mean),
            round(fields * _SERIALIZATION_US * mean),
        )

    @property
    def rating(self) -> int:
        """How light the signature is: 100 and less, of fields, complexity and estimated time."""
        parts = (
            100 - 2 * self.total_fields,
            100 - (self.input_complexity + self.output_complexity),
            100 - self.estimated_validation_time / 10,
        )
        return round(sum(max(0, part) for part in parts) / len(parts))

    @property
    def warnings(self) -> list[str]:
        """What to look at: many fields, slow validation, complex inputs."""
        found = []
        if self.total_fields > MANY_FIELDS:
            found.append(f"{self.total_fields} fields are more than {MANY_FIELDS}")
        if self.estimated_validation_time > SLOW_VALIDATION_US:
            estimate = f"validation is estimated to take {self.estimated_validation_time} µs"
            found.append(f"{estimate}, more than {SLOW_VALIDATION_US}")
        if self.input_complexity > COMPLEX_INPUTS:
            found.append(f"inputs of complexity {self.input_complexity:g} exceed {COMPLEX_INPUTS}")
        return found


def type_complexity(field_type: FieldType) -> float:
    """Give the base of the type and 0.5 for each of its constraints; nested types do not count."""
    return _base(field_type) + OF_A_CONSTRAINT * len(field_type.constraints)


def _base(field_type: FieldType) -> int:
    return len(field_type.members) if isinstance(field_type, UnionType) else field_type.weight


def _sum(fields: Sequence[FieldDefinition]) -> float:
    return sum(type_complexity(field.type) for field in fields)
