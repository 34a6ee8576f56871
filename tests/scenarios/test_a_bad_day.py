"""A story through all actions: what breaks in a day, and what is left of it in the evening."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.adapters.parentage import MARK, place_of_numbers
from app.database import Database
from tests.actions.resource_cleanup import mess
from tests.support.another_dspatch import free_port
from tests.support.factories import post_execution, post_program, post_signature
from tests.support.fleet import API_ONLY, a_batch, audited, read, until_done, until_ended
from tests.support.server import ServerProcess, serving, working

ITEMS = 60

MENDED = {
    "orphaned_children",
    "stuck_programs",
    "partitions",
    "expired_idempotency_keys",
    "finished_jobs",
}
"""What there is to mend in the evening."""

SETTINGS = """
[adapters.far]
kind = "remote"
url = "http://127.0.0.1:{port}"

[adapters.near]
kind = "mock"
outputs = {{answer = "Paris"}}

[adapters.safe]
kind = "failover"
members = ["far", "near"]

[adapters.slow]
kind = "mock"
latency_ms = 200
"""


@asynccontextmanager
async def a_client(
    environment: Mapping[str, str], config: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve without working."""
    async with (
        serving("--config", str(config), environment={**environment, **API_ONLY}) as server,
        httpx.AsyncClient(base_url=server.base_url, timeout=60) as client,
    ):
        yield client


def began_of(pid: int) -> str:
    """Give the tick of the boot at which a process began."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def mark_of(worker: ServerProcess) -> str:
    """Give the mark of the children of a worker."""
    pid = worker.process.pid
    return f"{place_of_numbers()}/{pid}/{began_of(pid)}"


async def left_by(mark: str) -> asyncio.subprocess.Process:
    """Start what a program in a child with this mark might have started."""
    pipe = asyncio.subprocess.PIPE
    left = await asyncio.create_subprocess_exec(
        "/bin/cat", stdin=pipe, stdout=pipe, env={MARK: mark}
    )
    assert left.stdin is not None
    assert left.stdout is not None
    left.stdin.write(b".")
    assert await left.stdout.read(1) == b"."  # it runs its own program: its mark can be seen
    return left


async def a_deep_validation(client: httpx.AsyncClient) -> None:
    """Register a signature and have it validated by all seven steps."""
    signature = await post_signature(client, name="geography")
    path = f"/v1/signatures/{signature['signature_id']}/validate"
    answer = await client.post(path, json={"validation_level": "deep"})
    report = answer.raise_for_status().json()
    assert (report["overall_valid"], report["failed_step"]) == (True, None)
    assert report["summary"]["total_checks"] == 7


async def an_execution_that_fails_over(client: httpx.AsyncClient) -> None:
    """Execute while the first adapter is dead."""
    program = await post_program(client, adapter="safe", config={})
    executed = (await post_execution(client, program)).raise_for_status().json()
    tried = [(one["adapter"], one["error"] is None) for one in executed["attempts"]]
    assert (executed["outputs"], executed["adapter"]) == ({"answer": "Paris"}, "near")
    assert tried == [("far", False), ("near", True)]


async def health_that_names_it(client: httpx.AsyncClient) -> None:
    """Ask how all is while that adapter is dead."""
    answer = await client.get("/v1/health", params={"check_level": "comprehensive"})
    report = answer.raise_for_status().json()
    adapters = report["checks"]["adapter_status"]
    assert (report["overall_status"], adapters["status"]) == ("warning", "warning")
    far, near = (adapters["result"]["adapter_statuses"][name] for name in ("far", "near"))
    assert near["status"] == "healthy"
    assert far["status"] != "healthy"
    assert far["error"]


async def a_killed_worker(
    client: httpx.AsyncClient, work: Callable[[], AbstractAsyncContextManager[ServerProcess]]
) -> tuple[dict[str, Any], str]:
    """Kill a worker amid a batch, which another ends; give the batch, and the first one's mark."""
    async with work() as dying:
        batch = await a_batch(client, ITEMS, adapter="slow", max_concurrency=4)
        await until_done(client, batch, 8)
        mark = mark_of(dying)
        await dying.stop(signal.SIGKILL)
    async with work():
        ended = await until_ended(client, batch)
    assert (ended["status"], ended["successful_items"]) == ("completed", ITEMS)
    return ended, mark


async def what_others_left(database: Database) -> None:
    """Add what processes that died long ago have left."""
    async with database.transaction() as tx:
        for make in (mess.programs, mess.keys, mess.jobs):
            await make(tx)
        await mess.a_record(tx, 100)


async def cleanup(client: httpx.AsyncClient, *, dry_run: bool) -> dict[str, Any]:
    """Clean up, or see what that would do; give each category's number that goes, and reasons.

    What the planner knows changes with every look.
    """
    answer = await client.post("/v1/cleanup", json={"dry_run": dry_run})
    categories = answer.raise_for_status().json()["categories"]
    assert not any(one["errors"] for one in categories.values())
    del categories["housekeeping"]
    return {
        name: (one["found"] - one["kept"] if dry_run else one["removed"], one["reasons"])
        for name, one in categories.items()
    }


@pytest.mark.long
async def test_a_bad_day(
    quick: dict[str, str], database: Database, database_url: str, tmp_path: Path
) -> None:
    """Whatever dies, work is done; health says what is wrong, and cleanup mends the rest."""
    config = tmp_path / "dspatch.toml"
    config.write_text(SETTINGS.format(port=free_port()))
    work = partial(working, "--config", str(config), environment=quick)
    async with a_client(quick, config) as client:
        await a_deep_validation(client)
        await an_execution_that_fails_over(client)
        await health_that_names_it(client)
        batch, mark = await a_killed_worker(client, work)
        records = await audited(database_url, batch["batch_id"])
        assert (records["records"], records["items"]) == (ITEMS, ITEMS)

        left = await left_by(mark)
        await what_others_left(database)
        said = await cleanup(client, dry_run=True)
        assert left.returncode is None
        done = await cleanup(client, dry_run=False)
        assert await asyncio.wait_for(left.wait(), 10) == -signal.SIGKILL
        assert done == said
        assert {name for name, (removed, _) in done.items() if removed} == MENDED
        again = await cleanup(client, dry_run=True)
        assert not any(would_go for would_go, _ in again.values())
        assert await read(client, batch) == batch
