"""Check values against one side of a signature, without running anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.database import Database
from app.errors import Fault
from app.models import Signature
from app.signatures.compile import CompiledSignature, ValuesError
from app.signatures.definition import Side


@dataclass(frozen=True)
class SignatureCheckReport:
    """The values as they would be used, or every fault and None in their place."""

    values: Mapping[str, Any] | None
    faults: Sequence[Fault] = ()


class SignatureCheck:
    """Checks values."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(
        self, signature_id: UUID, side: Side, values: Mapping[str, Any]
    ) -> SignatureCheckReport:
        """Check; raises SignatureNotFoundError."""
        async with self._database.transaction() as tx:
            signature = await tx.signatures.get(signature_id)
        try:
            return SignatureCheckReport(_validated(signature, side, values))
        except ValuesError as error:
            return SignatureCheckReport(None, [fault.under("/values") for fault in error.faults])


def _validated(signature: Signature, side: Side, values: Mapping[str, Any]) -> dict[str, Any]:
    compiled = CompiledSignature(signature.definition)
    if side is Side.INPUTS:
        return compiled.validate_inputs(values)
    return compiled.validate_outputs(values)
