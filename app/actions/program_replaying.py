"""Answer again with a program that was registered before, waiting for its preparation."""

from uuid import UUID

from app.database import Database
from app.models import Program
from app.models.states import ProgramStatus
from app.policies.clock import Clock
from app.policies.deadline import Deadline

LONGEST_WAIT_S = 60.0
PAUSE_S = 0.2

_UNPREPARED = {ProgramStatus.DRAFT, ProgramStatus.INITIALIZING}


class ProgramReplaying:
    """Gives the program that the first request of an idempotency key made."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def __call__(self, program_id: UUID, *, is_initialized: bool) -> Program:
        """Wait while the first request prepares it, where it does; give it as it stands then."""
        deadline = Deadline(self._clock, LONGEST_WAIT_S if is_initialized else 0.0)
        while True:
            async with self._database.transaction() as tx:
                program = await tx.programs.get(program_id)
            if program.status not in _UNPREPARED or not deadline.remaining_s:
                return program
            await self._clock.sleep(PAUSE_S)
