"""Steps of reasoning."""

from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema
from typing_extensions import override

from app.signatures.constraints import COUNT, PATTERN
from app.signatures.types.base import FieldType, Schema, list_schema, text_schema
from app.signatures.types.portable import pattern_keyword, pattern_remarks
from app.signatures.types.sampling import MOST, Sample, UnsampledError
from app.signatures.types.string import text_sample, unmatched


class ReasoningChainType(FieldType):
    """A list of texts; `step_format` is a pattern that every step matches."""

    name = "reasoning_chain"
    wrong: ClassVar = (None, True, 5, "text", {}, [5])
    allowed: ClassVar = {"max_steps": COUNT, "step_format": PATTERN}
    keywords: ClassVar = {"maxItems": "max_steps"}

    @override
    def core_schema(self) -> CoreSchema:
        step = text_schema(pattern=self.constraints.get("step_format"))
        return list_schema(step, max_length=self.constraints.get("max_steps"))

    @override
    def shape(self) -> Schema:
        step = {"type": "string", **pattern_keyword(self.constraints.get("step_format"))}
        return {"type": "array", "items": step, **self.told()}

    @override
    def remarks(self) -> Iterator[str]:
        yield from pattern_remarks(self.constraints.get("step_format"), "Each step matches")

    @override
    def annotation(self) -> Any:
        return list[str]

    @override
    def sample(self, random: Random) -> list[str]:
        steps = min(random.randint(1, 3), self.constraints.get("max_steps", 3))
        pattern = self.constraints.get("step_format")
        return [text_sample(random, pattern=pattern) for _ in range(steps)]

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        with suppress(UnsampledError):
            step = text_sample(random, pattern=self.constraints.get("step_format"))
            most = self.constraints.get("max_steps", MOST)
            yield Sample([], must_pass=True)
            if most < MOST:
                yield Sample([step] * most, must_pass=True)
                yield Sample([step] * (most + 1), must_pass=False)
        if "step_format" in self.constraints:
            for text in unmatched(self.constraints["step_format"]):
                yield Sample([text.value], must_pass=False)
