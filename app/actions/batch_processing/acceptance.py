"""Accept a batch: take its items in, and store them with it."""

from app.actions.batch_processing.asking import BatchAcceptanceInput
from app.actions.batch_processing.intake import BatchIntake
from app.actions.batch_processing.storing import BatchStoring
from app.stores.batches import BatchReading


class BatchAcceptance:
    """Takes batches in, whole or not at all."""

    def __init__(self, take_in: BatchIntake, store: BatchStoring) -> None:
        self._take_in = take_in
        self._store = store

    async def __call__(self, asked: BatchAcceptanceInput) -> BatchReading:
        """Give the batch; raises what its two steps raise."""
        async with self._take_in(asked) as intake:
            return await self._store(asked, intake)
