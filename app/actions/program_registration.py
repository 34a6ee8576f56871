"""Register a program, and prepare it on its adapter unless that is not wanted yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.actions.program_initialization import ProgramInitialization
from app.actions.program_preparation import require_adapter
from app.actions.program_states import ProgramStates
from app.adapters.base import Program as AdapterProgram
from app.adapters.registry import AdapterRegistry
from app.database import Database
from app.errors import SignatureDeprecatedError
from app.models import Program
from app.models.idempotency_keys import Claim
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
    state: Mapping[str, Any] | None = None
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    retention: Mapping[str, int] | None = None
    initialize: bool = True
    claim: Claim | None = None


class ProgramRegistration:
    """Registers programs."""

    def __init__(
        self,
        database: Database,
        ids: Ids,
        adapters: AdapterRegistry,
        states: ProgramStates,
        initialization: ProgramInitialization,
    ) -> None:
        self._database = database
        self._ids = ids
        self._adapters = adapters
        self._states = states
        self._initialization = initialization

    async def __call__(self, wanted: ProgramRegistrationInput) -> Program:
        """Register.

        Raises SignatureNotFoundError, SignatureDeprecatedError, NameTakenError, InvalidStateError,
        StateUnavailableError, KeyChangedError, and InvalidRequestError where no adapter has the
        name.
        """
        require_adapter(self._adapters, wanted.adapter)
        program_id = self._ids.new()
        state = await self._read_state(program_id, wanted)
        program = await self._add(program_id, wanted, state)
        return await self._initialization(program.id) if wanted.initialize else program

    async def _read_state(
        self, program_id: UUID, wanted: ProgramRegistrationInput
    ) -> Mapping[str, Any] | None:
        if wanted.state is None:
            return None
        async with self._database.transaction() as tx:
            signature = await tx.signatures.get(wanted.signature_id)
        program = AdapterProgram(program_id, 1, wanted.name, wanted.module, signature.definition)
        return await self._states.read(wanted.adapter, program, wanted.state, "/state")

    async def _add(
        self,
        program_id: UUID,
        wanted: ProgramRegistrationInput,
        state: Mapping[str, Any] | None,
    ) -> Program:
        async with self._database.transaction() as tx:
            signature = await tx.signatures.hold(wanted.signature_id)
            if signature.status == SignatureStatus.DEPRECATED:
                raise SignatureDeprecatedError(
                    f"{signature.name} version {signature.version} is deprecated."
                )
            await tx.idempotency_keys.claim(wanted.claim, program_id)
            return await tx.programs.add(
                {
                    "id": program_id,
                    "name": wanted.name,
                    "signature_id": wanted.signature_id,
                    "module": wanted.module,
                    "adapter": wanted.adapter,
                    "config": wanted.config,
                    "state": state,
                    "description": wanted.description,
                    "metadata_": wanted.metadata,
                    "retention": wanted.retention,
                }
            )
