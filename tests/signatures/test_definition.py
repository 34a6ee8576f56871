from typing import Any, cast

import pytest

from app.signatures.definition import REQUIRED, SignatureDefinition, SignatureError
from app.signatures.notation import parse_notation

ANSWER = {"name": "answer", "type": "string"}


def test_fields_are_read() -> None:
    """A field of the API becomes a definition, and its document is canonical."""
    definition = SignatureDefinition.from_documents(
        [
            {
                "name": "n",
                "type": "constrained[int, max=9]",
                "constraints": {"min": 0},
                "description": "How many.",
                "default": "4",
            },
            {"name": "note", "type": "str | None", "constraints": None, "description": None},
        ],
        [ANSWER],
        "Count.",
    )
    count, note = definition.inputs
    assert count.default == 4
    assert not count.is_required
    assert count.as_document() == {
        "name": "n",
        "type": "integer",
        "constraints": {"min": 0, "max": 9},
        "description": "How many.",
        "default": 4,
    }
    assert note.default is REQUIRED
    assert not note.is_required
    assert definition.outputs[0].is_required
    assert definition.outputs[0].as_document() == {
        "name": "answer",
        "type": "string",
        "constraints": {},
        "description": "",
    }


def test_every_fault_comes_at_once() -> None:
    """Each fault is told with its place, over both sides."""
    with pytest.raises(SignatureError) as refusal:
        SignatureDefinition.from_documents(
            [
                {"name": "a", "type": "text", "constraints": {"min": 1}, "default": 1},
                {"name": "b", "type": "integer", "constraints": {"min": 2, "max": 1, "size": 1}},
                {"name": "c", "type": "list[integer]", "default": ["1", "x", "y"]},
                {"name": "class", "type": 5, "description": 5, "colour/": 1},
                {"name": "1a" + "\ud800", "type": "string", "constraints": []},
                {"name": "e", "type": "string", "constraints": [1]},
                cast("Any", 5),
            ],
            [{"name": "a", "type": "string"}, {"name": "x" * 65, "type": "string"}],
        )
    assert [(fault.path, fault.code) for fault in refusal.value.faults] == [
        ("/inputs/0/type", "unknown_type"),
        ("/inputs/1/constraints/size", "unknown_constraint"),
        ("/inputs/1/constraints/min", "constraint_conflict"),
        ("/inputs/2/default/1", "type"),
        ("/inputs/2/default/2", "type"),
        ("/inputs/3/colour~1", "unknown_field"),
        ("/inputs/3/name", "name"),
        ("/inputs/3/type", "type"),
        ("/inputs/3/description", "type"),
        ("/inputs/4/name", "name"),
        ("/inputs/5/constraints", "type"),
        ("/inputs/6", "type"),
        ("/outputs/0/name", "duplicate_name"),
        ("/outputs/1/name", "name"),
    ]
    messages = {fault.path: fault.message for fault in refusal.value.faults}
    assert messages["/inputs/2/default/1"] == (
        'the default of c[1] must be a whole number, not "x"'
    )


@pytest.mark.parametrize("fields", ["text", 5, None])
def test_sides_are_lists(fields: Any) -> None:
    """Anything but a list of fields is a fault of the side."""
    with pytest.raises(SignatureError, match="must be a list of fields"):
        SignatureDefinition.from_documents(fields, [ANSWER])


def test_soft_keywords_are_names() -> None:
    """Words that Python reserves only in places may be names of fields."""
    assert parse_notation("match, type -> case").inputs[0].name == "match"


def test_content_hash_covers_everything() -> None:
    """Equal contents have one hash; each change of a field or of the instructions shows."""
    texts = ["a -> b", "a: str -> b", "a: int -> b", "a: int = 1 -> b", "b -> a"]
    hashes = [parse_notation(text).content_hash for text in texts]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 4
    assert parse_notation("a -> b", "Do.").content_hash != hashes[0]
    described = SignatureDefinition.from_documents(
        [{"name": "a", "type": "string", "description": "An a."}], [{"name": "b", "type": "string"}]
    )
    assert described.content_hash != hashes[0]
