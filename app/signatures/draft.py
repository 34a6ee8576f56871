"""A definition as it was declared, together with all that is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import Fault
from app.signatures.cursor import NotationSyntaxError
from app.signatures.definition import Side, SignatureDefinition
from app.signatures.faults import SignatureError
from app.signatures.grammar import Grammar
from app.signatures.reader import FieldReader


@dataclass(frozen=True)
class Draft:
    """Fields as documents, what was read of them, and the faults, at paths into the documents.

    Only without faults is the definition to be used.
    """

    inputs: Sequence[Any]
    outputs: Sequence[Any]
    definition: SignatureDefinition
    faults: Sequence[Fault] = ()

    @classmethod
    def empty(cls) -> "Draft":
        """Give the draft before anything was read."""
        return cls((), (), SignatureDefinition((), ()))

    def sound(self) -> SignatureDefinition:
        """Give the definition, or raise `SignatureError` with every fault."""
        if self.faults:
            raise SignatureError(self.faults)
        return self.definition

    def documents(self, side: Side) -> Sequence[Any]:
        """Give the declared fields of one side."""
        return self.inputs if side is Side.INPUTS else self.outputs

    def faults_at(self, *steps: int | str) -> list[Fault]:
        """Give the faults at a place and within it."""
        path = "".join(f"/{step}" for step in steps)
        return [fault for fault in self.faults if f"{fault.path}/".startswith(f"{path}/")]


def draft_of_documents(
    inputs: Sequence[Any], outputs: Sequence[Any], instructions: str = ""
) -> Draft:
    """Read fields as documents; whatever is wrong stands in the draft."""
    reader = FieldReader()
    definition = SignatureDefinition(
        reader.side("inputs", inputs), reader.side("outputs", outputs), instructions
    )
    return Draft(inputs, outputs, definition, tuple(reader.faults))


def draft_of_notation(text: str, instructions: str = "") -> Draft:
    """Read notation; raises `SignatureError` only where the text is none."""
    grammar = Grammar(text)
    try:
        inputs, outputs = grammar.signature()
    except NotationSyntaxError as error:
        faults = [*grammar.faults, Fault("", "syntax", str(error))]
        raise SignatureError(faults) from None
    draft = draft_of_documents(inputs, outputs, instructions)
    return Draft(inputs, outputs, draft.definition, (*grammar.faults, *draft.faults))


def draft_of_definition(definition: SignatureDefinition) -> Draft:
    """Give the draft of a definition that stands."""
    inputs, outputs = ([field.as_document() for field in definition.fields(s)] for s in Side)
    return Draft(inputs, outputs, definition)
