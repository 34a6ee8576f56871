"""Register a signature: a new version of its name, or the version that says the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.database import Database
from app.errors import InvalidSignatureError
from app.models import Signature
from app.models.idempotency_keys import Claim
from app.models.ids import Ids
from app.signatures.definition import SignatureDefinition, SignatureError
from app.signatures.notation import parse_notation
from app.signatures.parser import parse_definition


@dataclass(frozen=True)
class SignatureRegistrationInput:
    """What a client declares: fields as documents, or the arrow notation in their place."""

    name: str
    instructions: str = ""
    description: str = ""
    inputs: Sequence[Mapping[str, Any]] = ()
    outputs: Sequence[Mapping[str, Any]] = ()
    notation: str | None = None
    claim: Claim | None = None

    def definition(self) -> SignatureDefinition:
        """Parse the fields; InvalidSignatureError names every fault."""
        try:
            if self.notation is not None:
                return parse_notation(self.notation, self.instructions)
            return parse_definition(self.inputs, self.outputs, self.instructions)
        except SignatureError as error:
            raise InvalidSignatureError(
                "The signature's fields cannot be taken.", faults=error.faults
            ) from None


@dataclass(frozen=True)
class SignatureRegistrationReport:
    """The signature, and whether it is new."""

    signature: Signature
    is_new: bool


class SignatureRegistration:
    """Registers signatures."""

    def __init__(self, database: Database, ids: Ids) -> None:
        self._database = database
        self._ids = ids

    async def __call__(self, wanted: SignatureRegistrationInput) -> SignatureRegistrationReport:
        """Register; raises InvalidSignatureError and KeyChangedError."""
        definition = wanted.definition()
        async with self._database.transaction() as tx:
            await tx.signatures.lock_name(wanted.name)
            known = await tx.signatures.find_content(wanted.name, definition.content_hash)
            if known is not None:
                await tx.idempotency_keys.claim(wanted.claim, known.id, is_new=False)
                return SignatureRegistrationReport(known, is_new=False)
            signature_id = self._ids.new()
            await tx.idempotency_keys.claim(wanted.claim, signature_id)
            values = {
                "id": signature_id,
                "name": wanted.name,
                "version": await tx.signatures.next_version(wanted.name),
                "instructions": wanted.instructions,
                "description": wanted.description,
                "inputs": [field.as_document() for field in definition.inputs],
                "outputs": [field.as_document() for field in definition.outputs],
                "notation": definition.notation,
                "content_hash": definition.content_hash,
            }
            return SignatureRegistrationReport(await tx.signatures.add(values), is_new=True)
