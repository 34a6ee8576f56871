"""What every serializer is given, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.signatures.definition import Side, SignatureDefinition


@dataclass(frozen=True)
class NamedSignature:
    """A signature with the name under which its documents present it."""

    name: str
    definition: SignatureDefinition


@dataclass(frozen=True)
class Serialized:
    """One side of a signature as a target writes it.

    `notes` say what the target cannot hold, `refusals` why its provider would not take it at all.
    """

    document: Any
    notes: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


Serializer = Callable[[NamedSignature, Side], Serialized]
