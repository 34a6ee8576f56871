"""A batch is closed once all of its items have ended, whoever has ended them."""

from app.actions.batch_processing.validation import OnInvalid
from app.database import Database
from app.models.states import BatchStatus
from tests.stores.test_batches import counts
from tests.support.adapters import ScriptedAdapter
from tests.support.batches import AnsweringAdapter, Peer, an_acceptance, reading, wanted
from tests.support.factories import a_program


async def test_a_cancelled_batch_whose_items_had_all_ended_cancels_none(
    database: Database,
) -> None:
    """They stay as they ended, and none is counted as cancelled."""
    program = await a_program(database)
    accept = an_acceptance(database, ScriptedAdapter())
    batch_id = (await accept(wanted(program, [{}, {}], on_invalid=OnInvalid.RECORD))).id
    async with database.transaction() as tx:
        assert await tx.batches.stop(batch_id, BatchStatus.CANCELLED)
    peer = Peer(database, AnsweringAdapter())
    await peer.tools.close(batch_id)
    read = await reading(database, batch_id)
    assert (read.batch.status, counts(read)) == ("cancelled", [0, 0, 0, 2, 0])
    assert b'outcome="cancelled"' not in peer.metrics.page("")[0]
