"""What dead processes have left running on this machine."""

import asyncio
import os
import signal

from app.actions.resource_cleanup.category import CategoryName
from app.adapters.parentage import MARK, place_of_numbers
from tests.actions.resource_cleanup.conftest import CleanUp

CHILDREN = CategoryName.ORPHANED_CHILDREN


async def test_what_a_dead_parent_left_is_killed(clean_up: CleanUp) -> None:
    """By its mark; whatever else a run may find meanwhile, of other tests."""
    environment = {MARK: f"{place_of_numbers()}/{os.getpid()}/0"}
    pipe = asyncio.subprocess.PIPE
    orphan = await asyncio.create_subprocess_exec(
        "/bin/cat", stdin=pipe, stdout=pipe, env=environment
    )
    assert orphan.stdin is not None
    assert orphan.stdout is not None
    orphan.stdin.write(b".")
    assert await orphan.stdout.read(1) == b"."  # it runs its own program: its mark can be seen
    report = await clean_up(CHILDREN)
    assert report.categories[CHILDREN].errors == []
    assert await orphan.wait() == -signal.SIGKILL
