"""Register a program, and prepare it on its adapter unless that is not wanted yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.actions.program_initialization import ProgramInitialization
from app.adapters.registry import AdapterRegistry
from app.database import Database
from app.errors import Fault, InvalidRequestError, SignatureDeprecatedError
from app.models import Program
from app.models.ids import Ids
from app.models.states import SignatureStatus


@dataclass(frozen=True)
class ProgramRegistrationInput:
    """What a client declares."""

    name: str
    signature_id: UUID
    module: str
    adapter: str
    config: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    retention: Mapping[str, int] | None = None
    initialize: bool = True


class ProgramRegistration:
    """Registers programs."""

    def __init__(
        self,
        database: Database,
        ids: Ids,
        adapters: AdapterRegistry,
        initialization: ProgramInitialization,
    ) -> None:
        self._database = database
        self._ids = ids
        self._adapters = adapters
        self._initialization = initialization

    async def __call__(self, wanted: ProgramRegistrationInput) -> Program:
        """Register.

        Raises SignatureNotFoundError, SignatureDeprecatedError, NameTakenError, and
        InvalidRequestError where no adapter has the name.
        """
        self._require_adapter(wanted.adapter)
        program = await self._add(wanted)
        return await self._initialization(program.id) if wanted.initialize else program

    def _require_adapter(self, name: str) -> None:
        if self._adapters.find(name) is None:
            known = ", ".join(self._adapters.names())
            fault = Fault("/adapter", "unknown", f"there is no adapter {name!r}", known, name)
            raise InvalidRequestError("No adapter has this name.", faults=[fault])

    async def _add(self, wanted: ProgramRegistrationInput) -> Program:
        async with self._database.transaction() as tx:
            signature = await tx.signatures.get(wanted.signature_id)
            if signature.status == SignatureStatus.DEPRECATED:
                raise SignatureDeprecatedError(
                    f"{signature.name} version {signature.version} is deprecated."
                )
            return await tx.programs.add(
                {
                    "id": self._ids.new(),
                    "name": wanted.name,
                    "signature_id": wanted.signature_id,
                    "module": wanted.module,
                    "adapter": wanted.adapter,
                    "config": wanted.config,
                    "description": wanted.description,
                    "metadata_": wanted.metadata,
                    "retention": wanted.retention,
                }
            )
