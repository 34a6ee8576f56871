"""Register a signature: a new version of its name, or the version that says the same."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.actions.signature_declaration import SignatureDeclaration
from app.adapters.signature_modules import ModuleLoadingError, SignatureModules
from app.database import Database
from app.errors import Fault, InvalidSignatureError
from app.models import Signature
from app.models.idempotency_keys import Claim
from app.models.ids import Ids
from app.signatures.definition import SignatureDefinition, SignatureError


@dataclass(frozen=True, kw_only=True)
class SignatureRegistrationInput(SignatureDeclaration):
    """What a client declares, under a name."""

    name: str
    description: str = ""
    claim: Claim | None = None


@dataclass(frozen=True)
class SignatureRegistrationReport:
    """The signature, and whether it is new."""

    signature: Signature
    is_new: bool


class SignatureRegistration:
    """Registers signatures."""

    def __init__(self, database: Database, ids: Ids, modules: SignatureModules) -> None:
        self._database = database
        self._ids = ids
        self._modules = modules

    async def __call__(self, wanted: SignatureRegistrationInput) -> SignatureRegistrationReport:
        """Register; raises InvalidSignatureError and KeyChangedError."""
        definition = await self._definition(wanted)
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
                "instructions": definition.instructions,
                "description": wanted.description,
                "inputs": [field.as_document() for field in definition.inputs],
                "outputs": [field.as_document() for field in definition.outputs],
                "notation": definition.notation,
                "content_hash": definition.content_hash,
            }
            return SignatureRegistrationReport(await tx.signatures.add(values), is_new=True)

    async def _definition(self, wanted: SignatureRegistrationInput) -> SignatureDefinition:
        try:
            return (await wanted.read(self._modules)).sound()
        except SignatureError as error:
            raise _invalid(wanted, error.faults) from None
        except ModuleLoadingError as error:
            fault = Fault("/signature_module", "module", str(error))
            raise _invalid(wanted, [fault]) from None


def _invalid(wanted: SignatureDeclaration, faults: Sequence[Fault]) -> InvalidSignatureError:
    if wanted.notation is not None:
        faults = [replace(fault, path="/notation") for fault in faults]
    return InvalidSignatureError("The signature's fields cannot be taken.", faults=faults)
