"""Programs as they are run: the row, its signature compiled, and what an adapter is given."""

from dataclasses import dataclass
from uuid import UUID

from app.adapters.base import Program as AdapterProgram
from app.database import Transaction
from app.models import Program, ProgramRevision, Signature
from app.signatures.compile import CompiledSignature


@dataclass(frozen=True)
class RunnableProgram:
    """A program with everything that a run of it needs; `at` is the revision that runs."""

    program: Program
    at: Program | ProgramRevision
    signature: Signature
    compiled: CompiledSignature

    def for_adapter(self) -> AdapterProgram:
        """Give the program as adapters see it."""
        return AdapterProgram(
            program_id=self.program.id,
            revision=self.at.revision,
            name=self.program.name,
            module=self.program.module,
            signature=self.compiled.definition,
            config=self.at.config,
            state=self.at.state,
        )


class ProgramCatalogue:
    """Loads programs; compiled signatures are kept, since a signature's fields never change."""

    def __init__(self) -> None:
        self._signatures: dict[UUID, tuple[Signature, CompiledSignature]] = {}

    async def get(
        self, tx: Transaction, program_id: UUID, revision: int | None = None
    ) -> RunnableProgram:
        """Find a program as it is, or as it was at a revision.

        Raises ProgramNotFoundError and RevisionNotFoundError.
        """
        program = await tx.programs.get(program_id)
        at: Program | ProgramRevision = program
        if revision is not None and revision != program.revision:
            at = await tx.programs.get_revision(program_id, revision)
        signature, compiled = await self._signature(tx, program.signature_id)
        return RunnableProgram(program, at, signature, compiled)

    async def _signature(
        self, tx: Transaction, signature_id: UUID
    ) -> tuple[Signature, CompiledSignature]:
        if signature_id not in self._signatures:
            signature = await tx.signatures.get(signature_id)
            self._signatures[signature_id] = signature, CompiledSignature(signature.definition)
        return self._signatures[signature_id]
