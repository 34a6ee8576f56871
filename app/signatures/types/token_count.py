"""Numbers of tokens."""

from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.constraints import COUNT, LARGEST
from app.signatures.types.base import FieldType
from app.signatures.types.integer import as_whole_number

_SAMPLE_TOKENS = 500


class TokenCountType(FieldType):
    """A whole number from 0; it converts as `integer` does."""

    name = "token_count"
    allowed: ClassVar = {"max_tokens": COUNT}

    @override
    def core_schema(self) -> CoreSchema:
        return core_schema.int_schema(ge=0, le=self.constraints.get("max_tokens", LARGEST))

    @override
    def convert(self, value: Any) -> Any:
        return as_whole_number(value)

    @override
    def annotation(self) -> Any:
        return int

    @override
    def sample(self, random: Random) -> int:
        return random.randint(0, min(_SAMPLE_TOKENS, self.constraints.get("max_tokens", LARGEST)))
