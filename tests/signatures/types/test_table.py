"""The table of types: which values each takes as they stand, converts and refuses.

It is complete: every type, and every constraint of every type, has a row that takes a value and
one that refuses a value which the type without the constraint takes. `TABLE` is the mission's own.
"""

import math
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from app.signatures.compile import CompiledSignature, ValuesError
from app.signatures.notation import parse_notation, parse_type
from app.signatures.types import TYPES
from app.signatures.types.base import FieldType
from app.signatures.types.function_call import FunctionCall
from app.signatures.types.tool_result import ToolResult

TABLE: Mapping[str, str] = {
    "string": "min_length max_length pattern format",
    "integer": "min max multiple_of",
    "float": "min max precision",
    "boolean": "",
    "atom": "one_of",
    "any": "",
    "map": "required_keys min_size max_size",
    "binary": "max_bytes media_type",
    "embedding": "dimensions min_value max_value",
    "probability": "",
    "confidence_score": "",
    "reasoning_chain": "max_steps step_format",
    "token_count": "max_tokens",
    "model_output": "max_length",
    "prompt_template": "required_variables max_length",
    "function_call": "allowed_functions",
    "tool_result": "",
    "list": "min_length max_length unique",
    "dict": "min_size max_size required_keys",
    "union": "",
    "optional": "",
    "tagged": "",
}
"""Every type and its constraints; `constrained` is notation, `optional` takes its type's own."""

REFUSE_NOTHING = {("binary", "media_type"), ("float", "precision")}
"""A constraint that says what a value is, and one that rounds it."""

HUGE = 10**5000
DEEP: Any = []
for _ in range(1000):
    DEEP = [DEEP]

TAKEN: list[tuple[str, Any, Any]] = [
    ("string", "", ""),
    ("string", "a\0b", "a\0b"),
    ("constrained[string, min_length=2, max_length=2]", "ab", "ab"),
    ('constrained[string, pattern="b+"]', "abba", "abba"),
    ('constrained[string, format="date"]', "2026-02-28", "2026-02-28"),
    ("integer", 5, 5),
    ("integer", 4.0, 4),
    ("integer", "-12", -12),
    ("integer", "+007", 7),
    ("integer", 2**63 - 1, 2**63 - 1),
    ("integer", -(2.0**63), -(2**63)),
    ("integer", -0.0, 0),
    ("integer", "0" * 100 + "5", 5),
    ("constrained[integer, min=3, max=9, multiple_of=3]", "6", 6),
    ("float", 3, 3.0),
    ("float", "2.5e1", 25.0),
    ("float", "-3", -3.0),
    ("constrained[float, precision=2]", 0.125, 0.12),
    ("constrained[float, precision=2]", "0.375", 0.38),
    ("constrained[float, precision=0]", 2.5, 2.0),
    ("constrained[float, precision=2]", 2.675, 2.68),
    ("constrained[float, precision=2]", 2.665, 2.66),
    ("constrained[float, precision=2]", 1e308, 1e308),
    ("constrained[float, precision=2]", -0.0, -0.0),
    ("constrained[float, precision=9007199254740992]", 5e-324, 5e-324),
    ("constrained[float, min=1, max=1]", 1, 1.0),
    ("float", -0.0, -0.0),
    ("float", "+.5", 0.5),
    ("float", "-0e5", -0.0),
    ("float", 2**70, 2.0**70),
    ("constrained[float, max=1, precision=1]", 1.04, 1.0),
    ("boolean", True, True),
    ("boolean", "false", False),
    ("boolean", "true", True),
    ("boolean", 1, True),
    ("boolean", 0, False),
    ("atom", "anything", "anything"),
    ('atom["a", "b"]', "b", "b"),
    ("any", None, None),
    ("any", {"a": [1, True, 2.5, None]}, {"a": [1, True, 2.5, None]}),
    ("map", {"a": {"b": []}}, {"a": {"b": []}}),
    ('constrained[map, required_keys=["a"], min_size=1, max_size=1]', {"a": 1}, {"a": 1}),
    ("binary", "aGk=", "aGk="),
    ("binary", b"hi", "aGk="),
    ("constrained[binary, max_bytes=2]", "aGk=", "aGk="),
    ('constrained[binary, media_type="image/png"]', "aGk=", "aGk="),
    ("binary", "", ""),
    ("embedding", [1, 2.5], [1.0, 2.5]),
    ("constrained[embedding, dimensions=2, min_value=0, max_value=1]", [0, 1], [0.0, 1.0]),
    ("probability", 1, 1.0),
    ("confidence_score", 0.5, 0.5),
    ("reasoning_chain", ["first", "then"], ["first", "then"]),
    ('constrained[reasoning_chain, step_format="^[0-9]"]', ["1. go"], ["1. go"]),
    ("constrained[reasoning_chain, max_steps=1]", ["go"], ["go"]),
    ("token_count", "12", 12),
    ("constrained[token_count, max_tokens=12]", 12.0, 12),
    ("model_output", "text", "text"),
    ("constrained[model_output, max_length=1]", {"long": "object"}, {"long": "object"}),
    ("prompt_template", "Say {word!r}, {{not}} this", "Say {word!r}, {{not}} this"),
    ('constrained[prompt_template, required_variables=["a"]]', "{a}", "{a}"),
    ('constrained[prompt_template, required_variables=["a", "w"]]', "{a.b[0]!r:{w}}", ...),
    ("constrained[prompt_template, max_length=3]", "{a}", "{a}"),
    ("function_call", {"name": "f", "arguments": {}}, {"name": "f", "arguments": {}}),
    (
        "function_call",
        FunctionCall(name="f", arguments={"x": 1}),
        {"name": "f", "arguments": {"x": 1}},
    ),
    (
        'constrained[function_call, allowed_functions=["f", "g"]]',
        {"name": "g", "arguments": {"x": [None]}},
        ...,
    ),
    ("tool_result", {"tool": "t", "result": None}, {"tool": "t", "result": None}),
    ("tool_result", ToolResult(tool="t", result=1), {"tool": "t", "result": 1, "error": None}),
    ("list", [1, "a", None], [1, "a", None]),
    ("list[integer]", ["1", 2.0, 3], [1, 2, 3]),
    ("constrained[list[any], unique=true]", [1, True, [1], [True], {}, {"a": 1}, None], ...),
    ("constrained[list[any], unique=false]", [1, 1], [1, 1]),
    ("constrained[list[any], min_length=1, max_length=2]", [1, 1], [1, 1]),
    ("list[list[optional[integer]]]", [["1", None], []], [[1, None], []]),
    ("dict[string, integer]", {"a": "1"}, {"a": 1}),
    ('constrained[dict[atom["a"], float], required_keys=["a"]]', {"a": 1}, {"a": 1.0}),
    ("constrained[dict[string, any], min_size=1, max_size=1]", {"": None}, {"": None}),
    (
        "dict[string, list[tagged['n', integer]]]",
        {"a": [{"tag": "n", "value": "1"}]},
        {"a": [{"tag": "n", "value": 1}]},
    ),
    ("union[integer, string]", "5", "5"),
    ("union[float, integer]", 3, 3),
    ("union[list[float], list[integer]]", [3], [3]),
    ("union[integer, boolean]", "true", True),
    ("union[boolean, integer]", "7", 7),
    ("union[float, integer]", "4", 4.0),
    ("union[dict[string, float], map]", {"a": 1}, {"a": 1}),
    ("union[constrained[integer, max=5], float]", 7, 7.0),
    ("union[list[integer], map]", ["4"], [4]),
    ("optional[integer]", None, None),
    ("optional[integer]", "4", 4),
    ("string | integer | null", None, None),
    ('tagged["ok", integer]', {"tag": "ok", "value": "1"}, {"tag": "ok", "value": 1}),
]

REFUSED: list[tuple[str, Any, str, str]] = [
    ("string", 5, "", "type"),
    ("string", None, "", "type"),
    ("string", "\ud800", "", "not_unicode"),
    ("constrained[string, min_length=2]", "a", "", "too_short"),
    ("constrained[string, max_length=2]", "abc", "", "too_long"),
    ('constrained[string, pattern="^b+$"]', "abba", "", "pattern"),
    ('constrained[string, format="date"]', "2026-02-30", "", "format"),
    ("integer", True, "", "type"),
    ("integer", 4.5, "", "type"),
    ("integer", "4.0", "", "type"),
    ("integer", " 4", "", "type"),
    ("integer", "+-4", "", "type"),
    ("integer", "", "", "type"),
    ("integer", "٣", "", "type"),
    ("integer", "9" * 5000, "", "type"),
    ("integer", "9" * 30, "", "too_large"),
    ("integer", "1_000", "", "type"),
    ("integer", "0x10", "", "type"),
    ("integer", "5\n", "", "type"),
    ("integer", 1e308, "", "too_large"),
    ("integer", 2.0**63, "", "too_large"),
    ("integer", HUGE, "", "too_large"),
    ("integer", -HUGE, "", "too_small"),
    ("integer", 1e300, "", "too_large"),
    ("integer", math.inf, "", "type"),
    ("constrained[integer, min=3]", "2", "", "too_small"),
    ("constrained[integer, max=3]", 4, "", "too_large"),
    ("constrained[integer, multiple_of=3]", 4, "", "not_multiple"),
    ("float", True, "", "type"),
    ("float", "abc", "", "type"),
    ("float", "1_000", "", "type"),
    ("float", " 1", "", "type"),
    ("float", "٣", "", "type"),
    ("float", "0x10", "", "type"),
    ("float", "", "", "type"),
    ("float", "1e-400", "", "type"),
    ("float", "9" * 5000, "", "not_finite"),
    ("constrained[float, max=3]", 3.5, "", "too_large"),
    ("constrained[float, min=3]", "2.5", "", "too_small"),
    ("float", "nan", "", "not_finite"),
    ("float", "1e999", "", "not_finite"),
    ("float", math.nan, "", "not_finite"),
    ("float", HUGE, "", "not_finite"),
    ("constrained[float, precision=1]", math.inf, "", "not_finite"),
    ("constrained[float, min=0.06, precision=1]", 0.04, "", "too_small"),
    ("boolean", 2, "", "type"),
    ("boolean", 1.0, "", "type"),
    ("boolean", "True", "", "type"),
    ("boolean", "1", "", "type"),
    ("atom", "", "", "too_short"),
    ('atom["a"]', "b", "", "not_one_of"),
    ('atom["1"]', 1, "", "not_one_of"),
    ("any", math.nan, "", "json_value"),
    ("any", [HUGE], "", "json_value"),
    ("any", 10**20, "", "json_value"),
    ("any", DEEP, "", "json_value"),
    ("any", object(), "", "json_value"),
    ("any", {"\ud800": 1}, "", "json_value"),
    ("map", [], "", "type"),
    ("map", {"a": {1}}, "/a", "json_value"),
    ('constrained[map, required_keys=["a", "b"]]', {"a": 1}, "", "missing_keys"),
    ("constrained[map, min_size=1]", {}, "", "too_short"),
    ("constrained[map, max_size=0]", {"a": 1}, "", "too_long"),
    ("binary", "a", "", "base64"),
    ("binary", "aGk=\n", "", "base64"),
    ("binary", "ä", "", "base64"),
    ("constrained[binary, max_bytes=1]", "aGk=", "", "too_long"),
    ("embedding", [1, "2"], "/1", "type"),
    ("embedding", [True], "/0", "type"),
    ("embedding", [math.inf], "/0", "not_finite"),
    ("constrained[embedding, dimensions=2]", [1], "", "too_short"),
    ("constrained[embedding, max_value=2]", [3], "/0", "too_large"),
    ("constrained[embedding, min_value=2]", [1], "/0", "too_small"),
    ("embedding", [HUGE], "/0", "type"),
    ("embedding", "[1]", "", "type"),
    ("probability", "0.5", "", "type"),
    ("probability", True, "", "type"),
    ("probability", 1.5, "", "too_large"),
    ("confidence_score", -0.1, "", "too_small"),
    ("reasoning_chain", "one", "", "type"),
    ("constrained[reasoning_chain, max_steps=1]", ["a", "b"], "", "too_long"),
    ('constrained[reasoning_chain, step_format="^[0-9]"]', ["1", "go"], "/1", "pattern"),
    ("token_count", -1, "", "too_small"),
    ("constrained[token_count, max_tokens=5]", 6, "", "too_large"),
    ("model_output", [], "", "type"),
    ("constrained[model_output, max_length=1]", "long", "", "too_long"),
    ("prompt_template", "{", "", "template"),
    ('constrained[prompt_template, required_variables=["a"]]', "{{a}}", "", "missing_variables"),
    ('constrained[prompt_template, required_variables=["a"]]', "{b.a}", "", "missing_variables"),
    ("prompt_template", "{a:{", "", "template"),
    ("prompt_template", 5, "", "type"),
    ("constrained[prompt_template, max_length=1]", "ab", "", "too_long"),
    ("function_call", {"name": "f"}, "/arguments", "missing"),
    ("function_call", {"name": "f", "arguments": {}, "x/~": 1}, "/x~1~0", "unknown_field"),
    (
        'constrained[function_call, allowed_functions=["g"]]',
        {"name": "f", "arguments": {}},
        "/name",
        "not_one_of",
    ),
    ("tool_result", {"tool": "t", "result": 1, "error": 5}, "/error", "type"),
    ("list[string]", ("a",), "", "type"),
    ("list[list[integer]]", [[1], [2, "x"]], "/1/1", "type"),
    ("constrained[list[any], min_length=1]", [], "", "too_short"),
    ("constrained[list[any], max_length=1]", [1, 2], "", "too_long"),
    ("constrained[list[any], unique=true]", [{"a": [1]}, {"a": [1.0]}], "", "not_unique"),
    ("dict[string, integer]", [], "", "type"),
    ("dict[string, integer]", {"a": "x"}, "/a", "type"),
    ("constrained[dict[string, any], min_size=1]", {}, "", "too_short"),
    ("constrained[dict[string, any], max_size=1]", {"a": 1, "b": 2}, "", "too_long"),
    ('constrained[dict[string, any], required_keys=["a"]]', {"b": 1}, "", "missing_keys"),
    ('dict[atom["a"], integer]', {"b": 1}, "/b", "not_one_of"),
    ("union[integer, boolean]", "x", "", "no_member"),
    ("optional[integer]", "x", "", "type"),
    ('tagged["ok", integer]', {"tag": "no", "value": 1}, "/tag", "not_one_of"),
    ('tagged["ok", integer]', {"tag": "ok"}, "/value", "missing"),
    ('tagged["ok", integer]', 5, "", "type"),
]


CONSTRAINTS = [(name, constraint) for name in TABLE for constraint in TABLE[name].split()]


def compiled(type_text: str) -> CompiledSignature:
    """Compile a signature with one input, `value`."""
    return CompiledSignature(parse_notation(f"value: {type_text} -> answer"))


@pytest.mark.parametrize(("type_text", "value", "expected"), TAKEN, ids=range(len(TAKEN)))
def test_takes(type_text: str, value: Any, expected: Any) -> None:
    """A fitting value comes out as the type wants it, with the types of Python that it wants."""
    taken = compiled(type_text).validate_inputs({"value": value})["value"]
    wanted = value if expected is ... else expected
    assert (taken, repr(taken)) == (wanted, repr(wanted))


@pytest.mark.parametrize(("type_text", "value", "path", "code"), REFUSED, ids=range(len(REFUSED)))
def test_refuses(type_text: str, value: Any, path: str, code: str) -> None:
    """A value that does not fit gives one fault, with its place and a stable code."""
    with pytest.raises(ValuesError) as refusal:
        compiled(type_text).validate_inputs({"value": value})
    assert [(fault.path, fault.code) for fault in refusal.value.faults][:1] == [
        (f"/value{path}", code)
    ]
    assert all(len(fault.message) < 400 for fault in refusal.value.faults)


def test_models_are_dumped() -> None:
    """A tagged value that DSPy parsed into the annotation's model becomes JSON again."""
    signature = compiled('tagged["ok", integer]')
    model = signature.definition.inputs[0].type.annotation()
    assert issubclass(model, BaseModel)
    taken = signature.validate_inputs({"value": model(tag="ok", value=3)})
    assert taken == {"value": {"tag": "ok", "value": 3}}


def test_every_type_is_in_the_table() -> None:
    """No type and no constraint is missing or too many."""
    assert {name: set(kind.allowed) for name, kind in TYPES.items()} == {
        name: set(constraints.split()) for name, constraints in TABLE.items()
    }


@pytest.mark.parametrize("name", TABLE)
def test_every_type_takes_and_refuses_a_value(name: str) -> None:
    """Each type is the outermost of a row of either kind, without any constraint."""
    for rows in (TAKEN, REFUSED):
        found = [parse_type(row[0]) for row in rows]
        assert any(type(of) is TYPES[name] and not of.constraints for of in found)


@pytest.mark.parametrize(("name", "constraint"), CONSTRAINTS)
def test_every_constraint_takes_and_refuses_a_value(name: str, constraint: str) -> None:
    """What a constraint refuses, the same type takes without it."""
    taken = [parse_type(row[0]) for row in TAKEN]
    assert any(type(of) is TYPES[name] and constraint in of.constraints for of in taken)
    refusals = [
        row
        for row in REFUSED
        if type(of := parse_type(row[0])) is TYPES[name]
        and of.constraints.keys() == {constraint}
        and _takes(parse_type(of.bare), row[1])
    ]
    assert bool(refusals) is ((name, constraint) not in REFUSE_NOTHING)


def _takes(of: FieldType, value: Any) -> bool:
    try:
        of.validate(value)
    except ValidationError:
        return False
    return True
