"""Registrations of signatures, and their versions."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.actions.signature_registration import SignatureRegistrationInput
from app.database import Database
from app.errors import InvalidSignatureError
from tests.support.factories import a_registration


def _wanted(
    notation: str | None = "question: str -> answer: str", **members: Any
) -> SignatureRegistrationInput:
    return SignatureRegistrationInput(**{"name": "qa", "notation": notation, **members})


async def test_a_signature_is_stored_in_canonical_form(database: Database) -> None:
    """Fields, notation and hash are those of the parsed definition; it begins as a draft."""
    register = a_registration(database)
    report = await register(
        _wanted(
            "tags: list[constrained[str, max_length=9]] = [] -> mood: Literal['a', 'b']",
            instructions="Be brief.",
            description="A mood.",
        )
    )
    signature = report.signature
    assert report.is_new
    assert (signature.name, signature.version, signature.status) == ("qa", 1, "draft")
    assert (signature.instructions, signature.description) == ("Be brief.", "A mood.")
    assert signature.notation == (
        'tags: list[constrained[string, max_length=9]] = [] -> mood: atom["a", "b"]'
    )
    assert [field["name"] for field in signature.inputs] == ["tags"]
    assert signature.inputs[0]["default"] == []
    assert len(signature.content_hash) == 64


async def test_fields_say_the_same_as_the_notation(database: Database) -> None:
    """A signature out of documents is the version that the notation made."""
    register = a_registration(database)
    first = await register(_wanted("n: constrained[integer, min=0] -> answer: string"))
    second = await register(
        _wanted(
            None,
            inputs=[{"name": "n", "type": "int", "constraints": {"min": 0}}],
            outputs=[{"name": "answer", "type": "str"}],
        )
    )
    assert (second.signature.id, second.is_new) == (first.signature.id, False)


async def test_a_class_in_a_module_is_registered(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its fields and doc string are the signature's; instructions that are sent win over that."""
    source = 'import dspy\nqa = dspy.Signature("a -> b: int", "Count.")\n'
    (tmp_path / "acme_registered.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    register = a_registration(database, "acme_registered")
    named = {"signature_module": "acme_registered:qa"}
    first = (await register(_wanted(None, **named))).signature
    assert (first.notation, first.instructions) == ("a: string -> b: integer", "Count.")
    second = (await register(_wanted(None, instructions="Guess.", **named))).signature
    assert (second.version, second.instructions) == (2, "Guess.")


async def test_versions_are_counted_per_name(database: Database) -> None:
    """Other content makes the next version; the same content gives its version, old or new."""
    register = a_registration(database)
    texts = ["a -> b", "a -> c", "a -> b", "a -> d"]
    reports = [await register(_wanted(text)) for text in texts]
    other = await register(_wanted("a -> b", name="other"))
    assert [report.signature.version for report in reports] == [1, 2, 1, 3]
    assert [report.is_new for report in reports] == [True, True, False, True]
    assert (other.signature.version, other.is_new) == (1, True)


async def test_other_instructions_make_another_version(database: Database) -> None:
    """What the model is told is part of the contract; the description for people is not."""
    register = a_registration(database)
    await register(_wanted())
    told = await register(_wanted(instructions="Be brief."))
    described = await register(_wanted(instructions="Be brief.", description="Other words."))
    assert (told.signature.version, told.is_new) == (2, True)
    assert (described.signature.version, described.is_new) == (2, False)


async def test_every_fault_of_the_fields_is_told(database: Database) -> None:
    """All at once, each with its path."""
    register = a_registration(database)
    with pytest.raises(InvalidSignatureError) as refused:
        await register(
            _wanted(
                None,
                inputs=[{"name": "class", "type": "str"}, {"name": "n", "type": "wat"}],
                outputs=[],
            )
        )
    paths = {fault.path for fault in refused.value.faults}
    assert paths == {"/inputs/0/name", "/inputs/1/type", "/outputs"}


async def test_a_notation_that_does_not_parse_is_refused(database: Database) -> None:
    """The fault points at the notation."""
    register = a_registration(database)
    with pytest.raises(InvalidSignatureError) as refused:
        await register(_wanted("question str answer"))
    assert {fault.path for fault in refused.value.faults} == {"/notation"}


async def test_twenty_at_once_count_without_gaps(database: Database) -> None:
    """Ten contents, each registered twice at once, make ten versions."""
    register = a_registration(database)
    wanted = [_wanted(f"question -> answer_{n}") for n in range(10)] * 2
    reports = await asyncio.gather(*(register(one) for one in wanted))
    assert sorted(report.signature.version for report in reports) == sorted([*range(1, 11)] * 2)
    assert sum(report.is_new for report in reports) == 10
