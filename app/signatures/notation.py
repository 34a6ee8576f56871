"""From arrow notation to a definition: `question: str, tags: list[str] = [] -> answer`."""

from dataclasses import replace

from app.signatures.definition import SignatureDefinition
from app.signatures.draft import draft_of_notation
from app.signatures.faults import SignatureError
from app.signatures.grammar import parse_type

__all__ = ["parse_notation", "parse_type"]


def parse_notation(text: str, instructions: str = "") -> SignatureDefinition:
    """Read a signature, or raise `SignatureError` with every fault, each at `/notation`."""
    try:
        return draft_of_notation(text, instructions).sound()
    except SignatureError as error:
        faults = [replace(fault, path="/notation") for fault in error.faults]
        raise SignatureError(faults) from None
