"""What the bodies of all resources share."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

NAME = r"^[A-Za-z_][A-Za-z0-9_.-]{0,127}$"
"""Names of signatures, programs and keys."""

Name = Annotated[
    str,
    StringConstraints(pattern=NAME),
    Field(examples=["answer_question"]),
]
Text = Annotated[str, StringConstraints(max_length=100_000)]
Document = dict[str, Any]

MOST_UNKNOWN = 100
"""Members of a body that may be unknown, before it is refused as a whole."""


def _zulu(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


Instant = Annotated[datetime, PlainSerializer(_zulu, return_type=str)]
"""RFC 3339 in UTC, ending in Z."""


class RequestBody(BaseModel):
    """A body that a client sends: closed to members that the contract does not name."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_crowds(cls, body: Any) -> Any:
        """Each unknown member is a fault of its own: 300 000 of them took 9 s to tell."""
        if isinstance(body, dict) and len(body) > len(cls.model_fields) + MOST_UNKNOWN:
            raise PydanticCustomError("too_many_members", "there are too many members")
        return body


class View(BaseModel):
    """A body that Dspatch answers."""

    model_config = ConfigDict(from_attributes=True)
