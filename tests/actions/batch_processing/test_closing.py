"""A batch is closed once all of its items have ended, whoever has ended them."""

from random import Random

from app.actions.batch_processing.closing import BatchClosing
from app.actions.batch_processing.telling import BatchTelling
from app.actions.batch_processing.validation import OnInvalid
from app.checkpoints import Checkpoint
from app.database import Database
from app.models.states import BatchStatus
from app.policies.clock import SystemClock
from app.processes.channel import ControlChannel
from app.settings import Settings
from app.telemetry.metrics import Metrics
from tests.stores.test_batches import counts
from tests.support.adapters import ScriptedAdapter
from tests.support.batches import AnsweringAdapter, Peer, an_acceptance, reading, wanted
from tests.support.factories import a_program, new_ids
from tests.support.outage import a_leaving_database


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


async def test_of_two_lanes_that_close_a_batch_one_does(
    settings: Settings, database: Database
) -> None:
    """The other finds that it has ended, and tells nobody a second time."""
    program, told = await a_program(database), list[Checkpoint]()
    accept = an_acceptance(database, ScriptedAdapter())
    batch_id = (await accept(wanted(program, [{}], on_invalid=OnInvalid.RECORD))).id
    async with a_leaving_database(settings) as leaving:
        channel = ControlChannel(SystemClock(), Random(0))  # noqa: S311 - jitter
        tell = BatchTelling(leaving, new_ids())
        close = BatchClosing(leaving, channel, Metrics(), tell, told.append)
        leaving.after_next.append(lambda: close(batch_id))
        await close(batch_id)
    assert told == [Checkpoint.CLOSING, Checkpoint.CLOSED, Checkpoint.CLOSING]
    assert (await reading(database, batch_id)).batch.status == "completed"
