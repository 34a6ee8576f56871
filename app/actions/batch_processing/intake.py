"""Take in the items of a batch as they come: each validated, and kept until all are there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.actions.batch_processing.asking import BatchAcceptanceInput
from app.actions.batch_processing.spool import Spool
from app.actions.batch_processing.validation import ItemValidation, OnInvalid
from app.actions.program_catalogue import ProgramCatalogue
from app.adapters.registry import AdapterRegistry
from app.errors import InvalidInputsError
from app.policies.clock import Clock

AT_ONCE = 200
"""As many items are validated before others have their turn."""


@dataclass(frozen=True)
class Intake:
    """The items of a batch, or why they are refused."""

    spool: Spool
    refusal: InvalidInputsError | None


class BatchIntake:
    """Takes items in while they come, however many there are."""

    def __init__(
        self, catalogue: ProgramCatalogue, adapters: AdapterRegistry, clock: Clock
    ) -> None:
        self._catalogue = catalogue
        self._adapters = adapters
        self._clock = clock

    @asynccontextmanager
    async def __call__(self, asked: BatchAcceptanceInput) -> AsyncIterator[Intake]:
        """Give what came, until the block ends.

        Raises ProgramNotFoundError, ProgramNotReadyError, NoRoomError, and what the items raise.
        """
        runnable = await self._catalogue.recall(asked.program_id)
        if asked.claim is None:  # under a key it may be answered what was answered before
            runnable.ready_adapter(self._adapters)
        validate = ItemValidation(runnable.compiled)
        rejects, count = asked.on_invalid is OnInvalid.REJECT, 0
        with Spool() as spool:
            async for incoming in asked.items():
                item = validate(incoming)
                if not (rejects and validate.error_count):
                    spool.add(item)
                count += 1
                if count % AT_ONCE == 0:
                    await self._clock.sleep(0)
            yield Intake(spool, validate.refusal() if rejects else None)
