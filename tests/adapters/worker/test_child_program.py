"""The program of a child, as a process: what programs in it do, and how it ends."""

import asyncio
import os
import socket
import sys
from pathlib import Path

import psutil
import pytest

from app.adapters.child_environment import child_environment
from app.adapters.worker.adapter import COMMAND
from app.adapters.worker.limits import Patience
from tests.adapters.worker.pools import a_pool, ask, crash_of, the_child
from tests.support.wait import wait_until

HERE = Path(__file__).parent
RUDE = (sys.executable, "-P", str(HERE / "rude_child.py"))

PARENT = """
import asyncio
from tests.adapters.worker.pools import a_pool, the_child

async def main():
    async with a_pool() as pool:
        print((await the_child(pool)).pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_what_a_program_prints_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It does not touch the frames."""
    caplog.set_level("INFO")
    async with a_pool(RUDE) as pool:
        assert (await ask(pool, "print")).outputs == {"answer": "print"}
        await wait_until(lambda: len(caplog.messages) == 2)
    assert caplog.messages == [
        "a child of workers says: printed by a program",
        "a child of workers says: \x00\x01\x02\x03 written below",
    ]


async def test_a_program_that_computes_for_long_is_no_dead_one() -> None:
    """Signs of life come from a thread of their own."""
    async with a_pool(RUDE, patience=Patience(silence_s=2.5)) as pool:
        first = await the_child(pool)
        assert (await ask(pool, "compute")).outputs == {"answer": "compute"}
        assert (await the_child(pool)) is first


async def test_a_program_that_cannot_be_stopped_costs_its_child() -> None:
    """Although the child hears and speaks."""
    async with a_pool(RUDE, patience=Patience(answer_s=0.3)) as pool:
        await ask(pool, "fine")
        first = await the_child(pool)
        running = asyncio.create_task(ask(pool, "hold on"))
        await wait_until(lambda: len(first._conversation._open) == 1)
        running.cancel()
        await asyncio.wait([running])
        assert (await first.gone()).message == "The child process did not end a stopped call."
        assert (await ask(pool, "fine")).outputs == {"answer": "fine"}


async def test_a_program_that_ends_the_process_is_told() -> None:
    """As a crash, whatever its exit code says."""
    async with a_pool(RUDE, patience=Patience(exit_s=30)) as pool:
        assert (
            await crash_of(pool, "leave")
        ).message == "The child process ended with exit code 0."


async def test_a_child_dies_with_its_parent() -> None:
    """By SIGKILL, which leaves no time to say anything."""
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT),
        stdout=asyncio.subprocess.PIPE,
        env=child_environment(os.environ),
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert psutil.Process(pid).is_running()
    parent.kill()
    await parent.wait()
    await wait_until(lambda: not psutil.pid_exists(pid))


async def test_a_child_whose_parent_died_before_it_began_ends() -> None:
    """No signal tells it any more: it looks who its parent is."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = await asyncio.create_subprocess_exec(
            *(*COMMAND, str(theirs.fileno()), "1", "1"),
            pass_fds=(theirs.fileno(),),
            env=child_environment(os.environ, ["COVERAGE_PROCESS_CONFIG"]),
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert await child.wait() == 1
