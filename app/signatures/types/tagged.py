"""Values that carry a tag."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any, ClassVar, Literal

from pydantic import create_model
from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.constraints import TEXT
from app.signatures.types.base import (
    FieldType,
    Schema,
    TypeArgumentsError,
    as_json,
    object_schema,
    object_shape,
    plain,
)
from app.signatures.types.sampling import Sample


@dataclass(frozen=True)
class TaggedType(FieldType):
    """An object {tag, value}: the tag is always the same, the value of the inner type."""

    tag: str
    inner: FieldType

    name = "tagged"
    wrong: ClassVar = (None, True, 5, "text", [], {})

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

    @property
    @override
    def parts(self) -> tuple[FieldType, ...]:
        return (self.inner,)

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
    def shape(self) -> Schema:
        tag = {"type": "string", "const": self.tag}
        return object_shape({"tag": tag, "value": self.inner.json_schema()})

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

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        for sample in self.inner.samples(random):
            yield Sample({"tag": self.tag, "value": sample.value}, sample.must_pass)
        whole = self.sample(random)
        yield Sample({**whole, "tag": f"not {self.tag}"}, must_pass=False)
        yield Sample({**whole, "more": 1}, must_pass=False)
        yield Sample({"tag": self.tag}, must_pass=False)
