"""Cleaners at once, cleaners that are killed, and a sweep that races with what it sweeps."""

import asyncio
import json
import multiprocessing
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import func, text, update

from app.actions.resource_cleanup.archive import Archive
from app.actions.resource_cleanup.category import CategoryName, Tools
from app.database import Database
from app.models import BatchLane
from app.models.states import ExecutionStatus
from app.settings import DatabaseSettings, Settings
from app.stores.recorder.writes import End
from tests.actions.resource_cleanup import mess
from tests.actions.resource_cleanup.conftest import cleaned, some_tools
from tests.stores.rows import a_process, a_running_batch, an_ending, an_execution
from tests.support.dying_cleaner import clean_and_die
from tests.support.factories import a_recorder
from tests.support.fleet import API_ONLY
from tests.support.load import Load, answers
from tests.support.peers import Peer, a_mock, peers
from tests.support.truth import asked
from tests.support.wait import wait_until, wait_until_so

pytestmark = pytest.mark.long

ROUNDS = 1_000
COMPLETIONS = 10_000
AT_ONCE = 500

BY_ONE = {
    CategoryName.STALLED_BATCHES: (2, 0),
    CategoryName.EXPIRED_BATCHES: (1, 1),
    CategoryName.EXPIRED_EXECUTIONS: (2, 3),
    CategoryName.FINISHED_JOBS: (5, 0),
}
"""What cleaners alone remove: of each mess, and of what else there is at first."""

# Whoever makes a mess says so: it ages records that have ended.
_FINAL = """
CREATE FUNCTION stays_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE 'execution % has ended', OLD.id; END $$;
CREATE TRIGGER stays_ended BEFORE UPDATE ON executions FOR EACH ROW
WHEN (OLD.finished_at IS NOT NULL AND current_setting('dspatch.mess', true) IS DISTINCT FROM 'on')
EXECUTE FUNCTION stays_ended();
"""
_LEFT = """
SELECT id FROM executions WHERE id = ANY(:gone) OR batch_id = ANY(:gone)
UNION ALL SELECT id FROM batches WHERE id = ANY(:gone)
UNION ALL SELECT id FROM batch_uploads WHERE id = ANY(:gone)
UNION ALL SELECT id FROM processes WHERE id = ANY(:gone)
UNION ALL SELECT id FROM executions WHERE id = ANY(:ended) AND finished_at IS NULL
UNION ALL SELECT id FROM batches WHERE id = ANY(:ended) AND finished_at IS NULL
"""
_ALL = "SELECT id::text, e::text FROM executions e WHERE id = ANY($1)"
_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@pytest.fixture
def own_settings(
    new_database: Callable[[str], Coroutine[None, None, str]], settings: Settings
) -> Settings:
    """Settings on a database that no other test leaves anything in."""
    url = asyncio.run(new_database(f"cleanup_{uuid4().hex}"))
    return settings.model_copy(update={"database": DatabaseSettings(url=SecretStr(url))})


@pytest.fixture
def url(own_settings: Settings) -> str:
    """The address of that database."""
    assert own_settings.database.url is not None
    return own_settings.database.url.get_secret_value()


@pytest.fixture
async def own_database(own_settings: Settings, url: str) -> AsyncIterator[Database]:
    """That database, in which what has ended stays as it is."""
    await run(url, _FINAL)
    database = Database.connect(own_settings.database)
    yield database
    await database.close()


async def run(url: str, statements: str) -> None:
    """Run some statements."""
    connection = await asyncpg.connect(url)
    await connection.execute(statements)
    await connection.close()


@dataclass(frozen=True)
class Mess:
    """What a cleanup must remove, and what it must end."""

    gone: Sequence[UUID]
    ended: Sequence[UUID]

    async def left(self, database: Database) -> Sequence[UUID]:
        """List what is still as it was."""
        bound = {"gone": self.gone, "ended": self.ended}
        async with database.transaction() as tx:
            return (await tx.processes._session.scalars(text(_LEFT), bound)).all()


async def a_mess(database: Database) -> Mess:
    """Make one of each, in a week that goes whole and in one that does not."""
    async with database.transaction() as tx:
        session = tx.processes._session
        await session.execute(text("SET LOCAL dspatch.mess = 'on'"))
        gone = [
            await mess.a_record(tx, 60),
            await mess.a_record(tx, 60, ExecutionStatus.FAILED),
            await mess.a_record(tx, 100),
            await mess.an_ended_batch(tx, 60),
            (await mess.uploads(tx))["abandoned"],
            await a_process(tx, ended_s=25 * 3_600),
        ]
        await mess.jobs(tx)
        over = await a_running_batch(tx, invalid=(0, 1, 2))
        await session.execute(update(BatchLane).values(waits_since=None))
        orphan = await an_execution(tx, owner_id=await a_process(tx, ended_s=0))
    return Mess(gone, [over, orphan])


async def what_stays(database: Database) -> list[UUID]:
    """Make records that no cleanup may touch: young, live, or kept for ever."""
    async with database.transaction() as tx:
        await tx.processes._session.execute(text("SET LOCAL dspatch.mess = 'on'"))
        made = await mess.records(tx)
        await tx.processes._session.execute(update(BatchLane).values(waits_since=func.now()))
    return [one for name, one in made.items() if "expired" not in name]


async def as_text(url: str, ids: Sequence[UUID]) -> Mapping[str, str]:
    """Read records whole."""
    connection = await asyncpg.connect(url)
    try:
        return {row[0]: row[1] for row in await connection.fetch(_ALL, ids)}
    finally:
        await connection.close()


async def clean(peer: Peer) -> dict[str, Any]:
    """Have a server clean up; nothing fails."""
    answer = await peer.client.post("/v1/cleanup", json={"dry_run": False})
    report = dict(answer.raise_for_status().json())
    assert not report["summary"]["errors"], report
    return report


async def one_round(database: Database, cleaners: Sequence[Peer]) -> Counter[str]:
    """Have all clean up at once what was made for them; give what each category removed.

    A week that somebody reads just then is left to the next run.
    """
    made, removed = await a_mess(database), Counter[str]()

    async def is_clean() -> bool:
        for report in await asyncio.gather(*map(clean, cleaners)):
            for name, one in report["categories"].items():
                removed[name] += one["removed"]
        return not await made.left(database)

    await wait_until_so(is_clean, 120)
    return removed


@pytest.mark.timeout(3 * 3_600)
async def test_two_cleaners_at_once_come_to_the_end_of_one(
    own_database: Database, url: str, environment: dict[str, str]
) -> None:
    """On two servers under load, a thousand times: each thing once, and nothing that lives."""
    environment |= {"DSPATCH_DATABASE__URL": url, **API_ONLY}
    stays = await what_stays(own_database)
    before = await as_text(url, stays)
    async with peers(environment, {}, {}) as cleaners, AsyncExitStack() as stack:
        path = f"/v1/programs/{await a_mock(cleaners[0].client, 5)}/executions"
        loads = [
            await stack.enter_async_context(Load(path, peer.server.base_url, 2))
            for peer in cleaners
        ]
        removed = Counter[str]()
        for _ in range(ROUNDS):
            removed += await one_round(own_database, cleaners)
        for load in loads:
            await load.stop()
        calls = answers(call for load in loads for call in load.calls)
        logs = [peer.server.tracebacks for peer in cleaners]
    print(dict(calls), "calls;", dict(removed), "removed")  # noqa: T201 - for the page of scenarios
    assert calls.keys() == {200}
    assert logs == [[], []]
    assert await as_text(url, stays) == before
    assert await asked(url, _DEADLOCKS) == 0
    # The mess calls no lane of the live batch, which is set going each time.
    assert {name: removed[name] for name in BY_ONE} == {
        name: each * ROUNDS + first for name, (each, first) in BY_ONE.items()
    }


def archived(folder: Path) -> set[str]:
    """Name what an archive has; a line that its writer died over is not whole."""
    ids = set()
    for file in folder.iterdir():
        for line in file.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                ids.add(json.loads(line)["id"])
    return ids


@pytest.mark.timeout(3_600)
async def test_whoever_dies_leaves_a_cleanup_that_the_next_ends(
    own_database: Database, own_settings: Settings, url: str, tmp_path: Path
) -> None:
    """Killed before each statement and each commit: nothing is lost, and the archive has all."""
    stays = await what_stays(own_database)
    before = await as_text(url, stays)
    archive = Archive(tmp_path, "next", own_database)
    tools = replace(some_tools(own_settings, own_database), archive=archive)
    steps = 0
    while await dies_at(steps + 1, own_database, tools, tmp_path):
        steps += 1
    print(steps, "steps")  # noqa: T201 - for the page of scenarios
    assert steps > 50
    assert await as_text(url, stays) == before


async def dies_at(step: int, database: Database, tools: Tools, folder: Path) -> bool:
    """Kill a cleaner before a step and clean up; tell whether it came so far."""
    made = await a_mess(database)
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([clean_and_die.__module__])
    cleaner = forks.Process(target=clean_and_die, args=(tools.settings, folder, step))
    cleaner.start()
    await asyncio.to_thread(cleaner.join)

    async def is_clean() -> bool:
        assert (await cleaned(tools)).summary.errors == 0
        return not await made.left(database)

    if cleaner.exitcode != 0:
        assert cleaner.exitcode == -signal.SIGKILL
        await wait_until_so(is_clean, 60)
    assert not await made.left(database)
    assert {str(one) for one in made.gone[:4]} <= archived(folder)
    return cleaner.exitcode != 0


async def race(database: Database, tools: Tools, head_start: int) -> Counter[str]:
    """Let a dead process complete what it ran, and two sweep it; count the ends that each wrote.

    The sweeps begin when so many are completed.
    """
    ends, recorder = Counter[str](), a_recorder(database)
    async with database.transaction() as tx:
        dead = await a_process(tx, ended_s=0)
        rest = iter([await an_execution(tx, owner_id=dead) for _ in range(AT_ONCE)])
    end = End(an_ending(owner_id=dead))

    async def complete() -> None:
        for one in rest:
            ended_at = await recorder.finish(one, end, 60)
            ends["completed"] += ended_at is not None

    async def sweep() -> None:
        await wait_until(lambda: ends["completed"] >= head_start, 60)
        report = await cleaned(tools, CategoryName.ORPHANED_EXECUTIONS)
        assert report.summary.errors == 0
        ends["failed"] += report.summary.removed

    await asyncio.gather(*(complete() for _ in range(10)), sweep(), sweep())
    await recorder.close(60)
    return ends


@pytest.mark.timeout(1_800)
async def test_completions_that_race_with_a_sweep_end_once(
    own_database: Database, own_settings: Settings
) -> None:
    """Ten thousand: by whoever ended it first, and as he did."""
    ends, tools = Counter[str](), some_tools(own_settings, own_database)
    for number in range(COMPLETIONS // AT_ONCE):
        head_start = number * AT_ONCE * AT_ONCE // COMPLETIONS
        ends += await race(own_database, tools, head_start)
    print(dict(ends))  # noqa: T201 - for the page of scenarios
    query = text("SELECT status, count(*) FROM executions GROUP BY status")
    async with own_database.transaction() as tx:
        rows = await tx.processes._session.execute(query)
        found = Counter({row[0]: row[1] for row in rows})
    assert found == ends
    assert found.keys() == {"completed", "failed"}
    assert sum(found.values()) == COMPLETIONS
