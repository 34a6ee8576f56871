"""One field of a signature."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal

from app.signatures.types.base import FieldType, as_json
from app.signatures.types.optional import OptionalType


class _Required(Enum):
    REQUIRED = "required"


REQUIRED: Final = _Required.REQUIRED
"""In the place of a default: the field has none."""


@dataclass(frozen=True)
class FieldDefinition:
    """A named value of a signature; `default` is converted already."""

    name: str
    type: FieldType
    description: str = ""
    default: Any | Literal[_Required.REQUIRED] = REQUIRED

    @property
    def is_required(self) -> bool:
        """Whether the field must be given: it has no default, and null does not stand for it."""
        return self.default is REQUIRED and not isinstance(self.type, OptionalType)

    @property
    def notation(self) -> str:
        """The field in canonical notation, which has no place for the description."""
        default = "" if self.default is REQUIRED else f" = {as_json(self.default)}"
        return f"{self.name}: {self.type.notation}{default}"

    def as_document(self) -> dict[str, Any]:
        """Give the field as the API shows it: outer constraints apart from the type's text."""
        document = {
            "name": self.name,
            "type": self.type.bare,
            "constraints": dict(self.type.constraints),
            "description": self.description,
        }
        if self.default is not REQUIRED:
            document["default"] = self.default
        return document
