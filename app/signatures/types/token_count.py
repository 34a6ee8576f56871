"""Numbers of tokens."""

from collections.abc import Iterator
from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.constraints import COUNT, LARGEST
from app.signatures.types.base import FieldType, Schema
from app.signatures.types.integer import as_whole_number
from app.signatures.types.sampling import Sample

_SAMPLE_TOKENS = 500


class TokenCountType(FieldType):
    """A whole number from 0; it converts as `integer` does."""

    name = "token_count"
    wrong: ClassVar = (None, True, -1, 4.5, "4.0", [], {})
    allowed: ClassVar = {"max_tokens": COUNT}
    keywords: ClassVar = {"maximum": "max_tokens"}

    @override
    def core_schema(self) -> CoreSchema:
        return core_schema.int_schema(ge=0, le=self.constraints.get("max_tokens", LARGEST))

    @override
    def convert(self, value: Any) -> Any:
        return as_whole_number(value)

    @override
    def shape(self) -> Schema:
        return {"type": "integer", "minimum": 0, **self.told()}

    @override
    def annotation(self) -> Any:
        return int

    @override
    def sample(self, random: Random) -> int:
        return random.randint(0, min(_SAMPLE_TOKENS, self.constraints.get("max_tokens", LARGEST)))

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        most = self.constraints.get("max_tokens", LARGEST)
        for value in (0, most, str(most)):
            yield Sample(value, must_pass=True)
        yield Sample(most + 1, must_pass=False)
