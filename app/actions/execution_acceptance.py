"""Accept an execution to be run in the background, by whichever process claims it."""

from app.actions.program_catalogue import ProgramCatalogue
from app.actions.program_execution.intake import Intake, ProgramExecutionInput
from app.actions.program_execution.records import ExecutionRecords
from app.adapters.registry import AdapterRegistry
from app.checkpoints import Checkpoint, Reached, nothing
from app.models import Execution


class ExecutionAcceptance:
    """Records executions as pending."""

    def __init__(
        self,
        catalogue: ProgramCatalogue,
        adapters: AdapterRegistry,
        records: ExecutionRecords,
        reached: Reached = nothing,
    ) -> None:
        self._intake = Intake(catalogue, adapters)
        self._records = records
        self._reached = reached

    async def __call__(self, asked: ProgramExecutionInput) -> Execution:
        """Give the record, which runs on the revision that it names.

        Refuses what an execution would: raises ProgramNotFoundError, RevisionNotFoundError,
        ProgramNotReadyError, InvalidInputsError and KeyChangedError.
        """
        wanted = await self._intake(asked)
        self._reached(Checkpoint.BEFORE_ACCEPT)
        accepted = await self._records.accept(wanted.beginning(), asked.claim)
        self._reached(Checkpoint.ACCEPTED)
        return accepted
