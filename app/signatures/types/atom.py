"""A symbol out of a set."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, ClassVar, Literal

from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.constraints import NAMES
from app.signatures.types.base import (
    WORDS,
    FieldType,
    Schema,
    TypeArgumentsError,
    as_json,
    text_schema,
)
from app.signatures.types.sampling import MOST_NAMED, Sample


class AtomType(FieldType):
    """A symbol: text out of `one_of`. `atom["good", "bad"]` is short for the constraint."""

    name = "atom"
    weight = 1
    wrong: ClassVar = (None, True, 5, "", [], {})
    allowed: ClassVar = {"one_of": NAMES}
    keywords: ClassVar = {"enum": "one_of"}

    @override
    @classmethod
    def of(cls, *arguments: Any) -> "AtomType":
        if not arguments:
            return cls()
        if not NAMES.accepts(list(arguments)):
            raise TypeArgumentsError("atom takes different texts in brackets")
        return cls(constraints={"one_of": list(arguments)})

    @property
    @override
    def notation(self) -> str:
        if not self.constraints:
            return self.bare
        return f"{self.bare}[{', '.join(as_json(word) for word in self.constraints['one_of'])}]"

    @override
    def core_schema(self) -> CoreSchema:
        if not self.constraints:
            return text_schema(min_length=1)
        return core_schema.literal_schema(self.constraints["one_of"])

    @override
    def shape(self) -> Schema:
        return {"type": "string", **(self.told() or {"minLength": 1})}

    @override
    def annotation(self) -> Any:
        if not self.constraints:
            return str
        return Literal[tuple(self.constraints["one_of"])]

    @override
    def sample(self, random: Random) -> str:
        words: Sequence[str] = self.constraints.get("one_of", WORDS)
        return random.choice(words)

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        words = self.constraints.get("one_of", ())
        for word in words[:MOST_NAMED]:
            yield Sample(word, must_pass=True)
        if words:
            yield Sample("_".join(words), must_pass="_".join(words) in words)
