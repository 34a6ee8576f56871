"""Write `docs/types.md` out of the types themselves, or with --check refuse an old one."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from app.signatures.complexity import OF_A_CONSTRAINT
from app.signatures.definition import FieldDefinition, Side, SignatureDefinition
from app.signatures.from_json_schema import read_fields
from app.signatures.losses import losses
from app.signatures.notation import parse_type
from app.signatures.serializers import SERIALIZERS, NamedSignature, Serialized, Target
from app.signatures.types import KINDS, SPELLINGS
from app.signatures.types.base import FieldType

PATH = Path(__file__).parent.parent / "docs" / "types.md"
EXAMPLES = {
    "list": "list[string]",
    "dict": "dict[string, integer]",
    "union": "union[integer, string]",
    "optional": "optional[integer]",
    "tagged": 'tagged["ok", integer]',
}
"""How a type that has others in brackets is shown."""

CONSTRAINED: dict[str, dict[str, Any]] = {
    "string": {"min_length": 1, "max_length": 200, "pattern": "^[A-Z]", "format": "email"},
    "integer": {"min": 0, "max": 9, "multiple_of": 3},
    "float": {"min": 0, "max": 9.5, "precision": 2},
    "atom": {"one_of": ["good", "bad"]},
    "map": {"required_keys": ["id"], "min_size": 1, "max_size": 9},
    "binary": {"max_bytes": 6, "media_type": "image/png"},
    "embedding": {"dimensions": 3, "min_value": -1, "max_value": 1},
    "reasoning_chain": {"max_steps": 5, "step_format": "^[0-9]+[.] "},
    "token_count": {"max_tokens": 4096},
    "model_output": {"max_length": 200},
    "prompt_template": {"required_variables": ["question"], "max_length": 200},
    "function_call": {"allowed_functions": ["search"]},
    "list": {"min_length": 1, "max_length": 9, "unique": True},
    "dict": {"min_size": 1, "max_size": 9, "required_keys": ["id"]},
}
"""A value for each constraint of each type that takes some."""

HEAD = f"""# Types

Every type of a signature's fields: what it takes, its constraints, and what each target makes of
it. Written out of the code by `make types`.

A constraint stands beside the type, `{{"type": "integer", "constraints": {{"min": 0}}}}`, or within it,
`constrained[integer, min=0]`. Python's and DSPy's spellings are read, too:
{", ".join(f"`{given}`" for given in SPELLINGS)}, `T | None`, `A | B`. A type adds its complexity to
that of the signature, each constraint {OF_A_CONSTRAINT} more.

Targets: `json_schema` is draft 2020-12, and so is the schema of `anthropic_function`;
`openai_function` is strict where it can be; `python_type` is source text. What a target has no
keyword for stands in the description, and a note says so.
"""

TAIL = """## Where JSON Schema and Dspatch differ

What Dspatch accepts as it stands, the schema accepts; what the schema accepts, Dspatch takes,
converted where it must be. The exceptions:

| type | difference |
|---|---|
| all | The schema describes values as they stand: it refuses `"5"` for an integer, which Dspatch converts. |
| `integer`, `token_count`, numbers in `any` and `map` | Dspatch holds 64 bits; the schema says nothing of that. |
| `float`, `embedding` | A whole number that no float can hold is refused by Dspatch alone. |
| `float` with `precision` | Dspatch rounds before it looks at the bounds: 1.04 is within `max=1, precision=1`. |
| `string`, `reasoning_chain` | Patterns are Rust's regular expressions. One that ECMAScript would read otherwise stands in words; `\\d`, `\\w`, `\\s` and `\\b` hold letters and digits of all scripts here, of ASCII there. |
| `string` with `format` | Few validators check formats, and each in its own way; Dspatch checks all of them. |
| `binary` with `max_bytes` | The schema counts characters of base64, which leaves room for up to two bytes more. |
| `prompt_template` | That braces pair and that variables are there is told in words. |
| text | Half of a surrogate pair is no text here. |

Strict mode of `openai_function` requires every key: a field that may be left out is `null` in its place. Leave out what
is `null` before you send it on, where the field's type does not take it.
"""


def page() -> str:
    """Describe every type, a section each."""
    return "\n".join([HEAD, *(_section(kind) for kind in KINDS), TAIL])


def _section(kind: type[FieldType]) -> str:
    plain = parse_type(EXAMPLES.get(kind.name, kind.name))
    full = plain.with_constraints(CONSTRAINED.get(kind.name, {}))
    return "\n".join([f"## {kind.name}\n", f"{_words(kind)}\n", *_facts(plain, full), ""])


def _words(kind: type[FieldType]) -> str:
    return " ".join((kind.__doc__ or "").split())


def _facts(plain: FieldType, full: FieldType) -> Iterator[str]:
    constraints = "; ".join(
        f"`{name}`: {of.expected}" for name, of in plain.allowed_constraints().items()
    )
    weight = "the number of its members" if plain.name == "union" else str(plain.weight)
    yield "| | |\n|---|---|"
    yield f"| constraints | {constraints.replace('|', chr(92) + '|') or 'none'} |"
    yield f"| complexity | {weight} |"
    yield f"| example | {_code(full.notation)} |"
    yield f"| a value | {_code(_sample(full))} |"
    yield f"| JSON Schema | {_code(_json(full.json_schema()))} |"
    yield f"| OpenAI | {_openai(full)} |"
    yield f"| Python | {_python(full)} |"
    yield f"| from JSON Schema | {_back(full)} |"


def _written(target: Target, of: FieldType) -> Serialized:
    field = FieldDefinition("value", of)
    definition = SignatureDefinition((field,), (FieldDefinition("answer", parse_type("string")),))
    return SERIALIZERS[target](NamedSignature("example", definition), Side.INPUTS)


def _openai(of: FieldType) -> str:
    written = _written(Target.OPENAI_FUNCTION, of)
    function = written.document["function"]
    if not function["strict"]:
        return written.notes[-1].replace("value", "it", 1)
    return "strict: " + _code(_json(function["parameters"]["properties"]["value"]))


def _python(of: FieldType) -> str:
    source = _written(Target.PYTHON_TYPE, of).document
    line = next(line for line in source.splitlines() if line.startswith("    value: "))
    return _code(line.removeprefix("    value: ").removesuffix(" = Field()"))


def _back(of: FieldType) -> str:
    """Say what a reader of the schema makes of it."""
    written = _written(Target.JSON_SCHEMA, of).document
    before = SignatureDefinition((FieldDefinition("value", of),), ())
    after = SignatureDefinition(read_fields(written), ())
    same = not losses(before, after)
    return "comes back" if same else "comes back as " + _code(after.inputs[0].type.notation)


def _sample(of: FieldType) -> str:
    fitting = (sample.value for sample in of.samples(Random(1)) if sample.must_pass)  # noqa: S311 - an example
    return _json(next((value for value in fitting if of.accepts(value)), None))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _code(text: str) -> str:
    escaped = text.replace("|", "\\|")
    return f"`{escaped}`"


def main() -> None:
    """Write or check."""
    if "--check" not in sys.argv:
        PATH.write_text(page(), encoding="utf-8")
    elif PATH.read_text(encoding="utf-8") != page():
        sys.exit("docs/types.md is out of date: run `make types`")


if __name__ == "__main__":
    main()
