"""Write `docs/types.md` out of the types themselves, or with --check refuse an old one."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
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
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "string": (
        'constrained[string, min_length=1, max_length=200, pattern="^[A-Z]"]',
        'constrained[string, format="email"]',
    ),
    "integer": ("constrained[integer, min=0, max=9, multiple_of=3]",),
    "float": ("constrained[float, min=0, max=9.5, precision=2]",),
    "atom": ('atom["good", "bad"]',),
    "map": ('constrained[map, required_keys=["id"], min_size=1, max_size=9]',),
    "binary": ('constrained[binary, max_bytes=6, media_type="image/png"]',),
    "embedding": ("constrained[embedding, dimensions=3, min_value=-1, max_value=1]",),
    "reasoning_chain": ('constrained[reasoning_chain, max_steps=5, step_format="^[0-9]+[.] "]',),
    "token_count": ("constrained[token_count, max_tokens=4096]",),
    "model_output": ("constrained[model_output, max_length=200]",),
    "prompt_template": (
        'constrained[prompt_template, required_variables=["question"], max_length=200]',
    ),
    "function_call": ('constrained[function_call, allowed_functions=["search"]]',),
    "list": ("constrained[list[string], min_length=1, max_length=9, unique=true]",),
    "dict": ('constrained[dict[string, integer], min_size=1, max_size=9, required_keys=["id"]]',),
    "union": ("union[integer, string]",),
    "optional": ("optional[constrained[integer, min=0]]",),
    "tagged": ('tagged["ok", integer]',),
}
"""How types are shown that have constraints, or others in brackets; the rest by their name."""

HEAD = f"""# Types

Every type of a signature's fields: what it takes, its constraints, and what each target makes of
it. Written out of the code by `make types`; [Check a signature](howto/check-a-signature.md) tells
how to ask for the documents.

A constraint stands beside the type, `"type": "integer", "constraints": {{"min": 0}}`, or in it:
`constrained[integer, min=0]`. Python's and DSPy's spellings are read, too:
{", ".join(f"`{given}`" for given in SPELLINGS)},
`T | None`, `A | B`. A type adds its complexity to that of the signature, each constraint
{OF_A_CONSTRAINT} more.

Targets: `json_schema` is draft 2020-12, and so is the schema of `anthropic_function`;
`openai_function` is strict where it can be; `python_type` is source text. What a target has no
keyword for stands in the description, and a note says so.
"""


def page() -> str:
    """Describe every type, a section each."""
    return "\n".join([HEAD, *(_section(kind) for kind in KINDS)])


def _section(kind: type[FieldType]) -> str:
    examples = [parse_type(text) for text in EXAMPLES.get(kind.name, (kind.name,))]
    words = " ".join((kind.__doc__ or "").split())
    tables = ["\n".join(_targets(of)) for of in examples]
    return "\n\n".join([f"## {kind.name}", words, *_facts(examples[0]), *tables]) + "\n"


def _facts(of: FieldType) -> Iterator[str]:
    weight = "the number of its members" if of.name == "union" else str(of.weight)
    yield f"Complexity: {weight}."
    allowed = of.allowed_constraints().items()
    if allowed and of.name != "optional":
        yield "\n".join(f"- `{name}`: {constraint.expected}" for name, constraint in allowed)


def _targets(of: FieldType) -> Iterator[str]:
    yield f"| | {_code(of.notation)} |\n|---|---|"
    yield f"| a value | {_code(_sample(of))} |"
    yield f"| JSON Schema | {_code(_json(of.json_schema()))} |"
    yield f"| OpenAI | {_openai(of)} |"
    yield f"| Python | {_python(of)} |"
    yield f"| from JSON Schema | {_back(of)} |"


def _written(target: Target, of: FieldType) -> Serialized:
    field = FieldDefinition("it", of)
    definition = SignatureDefinition((field,), (FieldDefinition("answer", parse_type("string")),))
    return SERIALIZERS[target](NamedSignature("example", definition), Side.INPUTS)


def _openai(of: FieldType) -> str:
    written = _written(Target.OPENAI_FUNCTION, of)
    function = written.document["function"]
    if not function["strict"]:
        return written.notes[-1]
    return "strict: " + _code(_json(function["parameters"]["properties"]["it"]))


def _python(of: FieldType) -> str:
    """Give the annotation, the class where it is one, and what Python cannot say."""
    written = _written(Target.PYTHON_TYPE, of)
    untold = [note.partition(": ")[2] for note in written.notes if "Python's types" in note]
    return "; ".join([_annotation(written.document), *untold])


def _annotation(source: str) -> str:
    line = next(line for line in source.splitlines() if line.startswith("    it: "))
    annotation = _code(line.removeprefix("    it: ").removesuffix(" = Field()"))
    found = re.search(r"^class It\(BaseModel\):\n((?:    .+\n)+)", source, re.MULTILINE)
    if found is None:
        return annotation
    members = ", ".join(_code(member.strip()) for member in found[1].splitlines())
    return f"{annotation}, a model of {members}"


def _back(of: FieldType) -> str:
    """Say what a reader of the schema makes of it."""
    written = _written(Target.JSON_SCHEMA, of).document
    before = SignatureDefinition((FieldDefinition("it", of),), ())
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
