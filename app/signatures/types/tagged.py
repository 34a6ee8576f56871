"""Values that carry a tag."""

from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any, Literal

from pydantic import create_model
from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.constraints import TEXT
from app.signatures.types.base import (
    FieldType,
    TypeArgumentsError,
    as_json,
    object_schema,
    plain,
)


@dataclass(frozen=True)
class TaggedType(FieldType):
    """An object {tag, value}: the tag is always the same, the value of the inner type."""

    tag: str
    inner: FieldType

    name = "tagged"

    @override
    @classmethod
    def of(cls, *arguments: Any) -> "TaggedType":
        match arguments:
            case (tag, FieldType() as inner) if TEXT.accepts(tag):
                return cls(tag, inner)
            case _:
                raise TypeArgumentsError("tagged takes a text and a type in brackets")

    @property
    @override
    def bare(self) -> str:
        return f"tagged[{as_json(self.tag)}, {self.inner.notation}]"

    @override
    def core_schema(self) -> CoreSchema:
        tag = core_schema.literal_schema([self.tag])
        return object_schema({"tag": tag, "value": self.inner.core_schema()})

    @override
    def convert(self, value: Any) -> Any:
        match plain(value):
            case {"value": inner, **others}:
                return {**others, "value": self.inner.convert(inner)}
            case other:
                return other

    @override
    def annotation(self) -> Any:
        return self._model

    @cached_property
    def _model(self) -> Any:
        members: dict[str, Any] = {
            "tag": (Literal[self.tag], ...),
            "value": (self.inner.annotation(), ...),
        }
        return create_model("Tagged", **members)

    @override
    def sample(self, random: Random) -> dict[str, Any]:
        return {"tag": self.tag, "value": self.inner.sample(random)}
