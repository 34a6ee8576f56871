"""From arrow notation to a definition: `question: str, tags: list[str] = [] -> answer`."""

from dataclasses import replace

from app.errors import Fault
from app.signatures.cursor import NotationSyntaxError
from app.signatures.definition import SignatureDefinition
from app.signatures.faults import SignatureError
from app.signatures.grammar import Grammar, parse_type
from app.signatures.reader import FieldReader

__all__ = ["parse_notation", "parse_type"]


def parse_notation(text: str, instructions: str = "") -> SignatureDefinition:
    """Read a signature, or raise `SignatureError` with every fault, each at `/notation`."""
    grammar = Grammar(text)
    try:
        inputs, outputs = grammar.signature()
    except NotationSyntaxError as error:
        syntax = Fault("", "syntax", str(error))
        raise SignatureError(_in_notation([*grammar.faults, syntax])) from None
    reader = FieldReader()
    definition = SignatureDefinition(
        reader.side("inputs", inputs), reader.side("outputs", outputs), instructions
    )
    if faults := [*grammar.faults, *reader.faults]:
        raise SignatureError(_in_notation(faults))
    return definition


def _in_notation(faults: list[Fault]) -> list[Fault]:
    return [replace(fault, path="/notation") for fault in faults]
