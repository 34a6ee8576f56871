"""Templates of prompts."""

import re
from collections.abc import Iterator
from random import Random
from string import Formatter
from typing import Any, ClassVar

from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import override

from app.signatures.constraints import COUNT, NAMES
from app.signatures.types.base import FieldType, Schema, text_schema
from app.signatures.types.sampling import MOST_NAMED, Sample
from app.signatures.types.string import length_edges, text_sample


class PromptTemplateType(FieldType):
    """Text with `{variables}` as in Python's `str.format`; `{{` and `}}` are plain braces."""

    name = "prompt_template"
    wrong: ClassVar = (None, True, 5, "{", [], {})
    allowed: ClassVar = {"required_variables": NAMES, "max_length": COUNT}
    keywords: ClassVar = {"maxLength": "max_length"}

    @override
    def core_schema(self) -> CoreSchema:
        schema = text_schema(max_length=self.constraints.get("max_length"))
        return core_schema.no_info_after_validator_function(self._check, schema)

    def _check(self, text: str) -> str:
        try:
            found = _variables(text)
        except ValueError:
            raise PydanticCustomError("template", "text whose braces pair") from None
        required = self.constraints.get("required_variables", ())
        if missing := [name for name in required if name not in found]:
            context = {"names": ", ".join(missing)}
            raise PydanticCustomError("missing_variables", "text with variables {names}", context)
        return text

    @override
    def shape(self) -> Schema:
        return {"type": "string", **self.told()}

    @override
    def remarks(self) -> Iterator[str]:
        yield "A template: variables stand in single braces, plain braces are doubled."
        if "required_variables" in self.constraints:
            yield f"It has the variables {', '.join(self.constraints['required_variables'])}."

    @override
    def annotation(self) -> Any:
        return str

    @override
    def sample(self, random: Random) -> str:
        variables = self.constraints.get("required_variables", ())
        text = "".join(f"{{{name}}}" for name in variables)
        return text or text_sample(random, max_length=self.constraints.get("max_length"))

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        names = self.constraints.get("required_variables", ())
        for name in names[:MOST_NAMED]:
            yield Sample(f"{{{{{name}}}}}", must_pass=False)
        yield from length_edges(self.constraints, is_plain=not names)


def _variables(text: str) -> set[str]:
    """Give the names of the variables: of `{user.name:{width}}` they are user and width."""
    fields = list(Formatter().parse(text))
    specs = "".join(spec or "" for _, _, spec, _ in fields)
    nested = Formatter().parse(specs)  # `str.format` looks no deeper
    names = (name for _, name, _, _ in (*fields, *nested) if name is not None)
    return {re.split(r"[.\[]", name, maxsplit=1)[0] for name in names}
