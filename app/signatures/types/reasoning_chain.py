"""Steps of reasoning."""

from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema
from typing_extensions import override

from app.signatures.constraints import COUNT, PATTERN
from app.signatures.types.base import FieldType, list_schema, text_schema
from app.signatures.types.string import text_sample


class ReasoningChainType(FieldType):
    """A list of texts; `step_format` is a pattern that every step matches."""

    name = "reasoning_chain"
    allowed: ClassVar = {"max_steps": COUNT, "step_format": PATTERN}

    @override
    def core_schema(self) -> CoreSchema:
        step = text_schema(pattern=self.constraints.get("step_format"))
        return list_schema(step, max_length=self.constraints.get("max_steps"))

    @override
    def annotation(self) -> Any:
        return list[str]

    @override
    def sample(self, random: Random) -> list[str]:
        steps = min(random.randint(1, 3), self.constraints.get("max_steps", 3))
        pattern = self.constraints.get("step_format")
        return [text_sample(random, pattern=pattern) for _ in range(steps)]
