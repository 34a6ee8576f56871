"""The `worker` adapter: what its settings say, and what its children are given."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.adapters.errors import AdapterError, ErrorType
from app.adapters.parentage import MARK
from app.adapters.setup import AdapterSetup
from app.adapters.worker import WorkerAdapter
from app.adapters.worker.adapter import WorkerOptions
from app.adapters.worker.documents import lm_documents, read_lms
from app.settings import LMSettings, SettingsError
from tests.adapters.programs import a_call, a_program
from tests.adapters.worker.pools import PROGRAM, a_pool, saying, scripted, the_child
from tests.support.wait import wait_until


def an_adapter(pool: Any, **more: Any) -> WorkerAdapter:
    """Give an adapter on a pool of the test's own."""
    setup = AdapterSetup("workers", {"runs": "mock"}, **more)
    return WorkerAdapter(setup, lambda *_: pool)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"colour": 1}, r"adapters\.w\.colour: "),
        ({"processes": 0}, r"adapters\.w\.processes: "),
        ({"runs": "worker"}, r"adapters\.w\.runs: "),
        ({"concurrency": 0}, r"adapters\.w\.concurrency: "),
    ],
)
def test_wrong_options_refuse_the_start(options: Mapping[str, Any], sentence: str) -> None:
    """Each is named; nothing has been started."""
    with pytest.raises(SettingsError, match=sentence):
        WorkerAdapter(AdapterSetup("w", options))


def test_an_lm_that_cannot_be_used_refuses_the_start() -> None:
    """As it does for programs in this process."""
    lm = LMSettings(model="openai/small", api_key_env="NOT_THERE")
    with pytest.raises(SettingsError, match=r"lms\.main: the variable NOT_THERE is not set"):
        WorkerAdapter(AdapterSetup("w", lms={"main": lm}, environment={}))


def test_there_is_a_child_for_each_core() -> None:
    """Unless the operator says how many."""
    assert WorkerOptions().processes == os.cpu_count()


def test_children_are_told_the_lms_with_their_keys(tmp_path: Path) -> None:
    """Wherever those stand; and each child has its share of what may be in flight."""
    (tmp_path / "key").write_text("from a file\n")
    settings = {
        "one": {"model": "openai/small", "api_key_env": "KEY", "max_concurrency": 64},
        "two": {"model": "openai/big", "api_key_file": tmp_path / "key", "max_concurrency": 1},
        "three": {"model": "anthropic/x", "params": {"temperature": 0.5}, "timeout_ms": 5},
    }
    lms = {name: LMSettings.model_validate(of) for name, of in settings.items()}
    setup = AdapterSetup("w", lms=lms, environment={"KEY": "from a variable", "OTHER": "x"})
    read = read_lms(lm_documents(setup, 3))
    assert [lm.key({}) for lm in read.values()] == ["from a variable", "from a file", None]
    assert [lm.max_concurrency for lm in read.values()] == [21, 1, 21]
    assert read["three"].params == {"temperature": 0.5}
    assert read["three"].timeout_ms == 5


async def test_children_see_few_variables() -> None:
    """Nothing of the server's but what every process needs, and what the operator names."""
    environment = {
        "PATH": os.environ["PATH"],
        "DSPATCH_DATABASE__URL": "postgresql://secret",
        "OPENAI_API_KEY": "sk-other",
        "WANTED": "yes-please",
    }
    options = {"processes": 1, "runs": "mock", "environment": ["WANTED", "MISSING"]}
    adapter = WorkerAdapter(AdapterSetup("w", options, environment=environment))
    await adapter.warm_up()
    (child,) = await adapter._pool.ready()
    seen = set(psutil.Process(child.pid).environ())
    await adapter.cleanup()
    assert seen - {"LC_CTYPE"} == {"PATH", "PYTHONPATH", "WANTED", MARK}


async def test_an_adapter_that_nobody_named_starts_nothing() -> None:
    """Neither when it is warmed up nor when its health is asked for, which is good."""
    async with a_pool() as pool:
        adapter = an_adapter(pool, is_asked_for=False)
        await adapter.warm_up()
        assert (await adapter.health_check()).healthy
        assert not pool.is_started


async def test_one_that_is_named_starts_when_it_is_warmed_up() -> None:
    """So that no call waits for it; a child that cannot start is told by its health."""
    async with a_pool(scripted()) as pool:
        await an_adapter(pool).warm_up()
        assert pool.is_started
    async with a_pool(scripted("exit")) as pool:
        adapter = an_adapter(pool)
        await adapter.warm_up()
        health = await adapter.health_check()
    assert (health.healthy, health.error) == (False, "The child process ended with exit code 0.")


async def test_signatures_are_validated_without_a_child() -> None:
    """What needs no program is asked of an adapter in this process."""
    async with a_pool() as pool:
        await an_adapter(pool).validate_signature(a_program().signature)
        assert not pool.is_started


async def test_programs_are_forgotten_by_the_children() -> None:
    """And may come again."""
    async with a_pool(scripted()) as pool:
        adapter, program = an_adapter(pool), PROGRAM
        for _ in range(2):
            await adapter.execute_program(a_call(program))
            assert await adapter.delete_program(program.program_id)
            assert not await adapter.delete_program(program.program_id)


async def test_many_revisions_of_a_program_run() -> None:
    """A child holds the last few; an older one is told it again."""
    async with a_pool(scripted()) as pool:
        adapter = an_adapter(pool)
        revisions = [replace(PROGRAM, revision=number) for number in range(1, 8)]
        for program in (*revisions, revisions[0]):
            assert (await adapter.execute_program(a_call(program))).outputs
        assert len((await the_child(pool))._held[PROGRAM.program_id]) == 4


async def test_inputs_that_do_not_fit_into_a_frame_are_refused() -> None:
    """The child hears nothing of them, and serves on."""
    async with a_pool(scripted()) as pool:
        adapter, program = an_adapter(pool), PROGRAM
        with pytest.raises(AdapterError) as caught:
            await adapter.execute_program(a_call(program, question="x" * 40_000_000))
        assert caught.value.type is ErrorType.INVALID_REQUEST
        assert (await adapter.execute_program(a_call(program))).outputs


async def test_a_stopped_call_tells_what_it_has_spent() -> None:
    """What the child says when it is told to stop stands in the attempt."""
    async with a_pool(scripted()) as pool:
        adapter = an_adapter(pool)
        call = saying("hold")
        await adapter.create_program(call.program)
        running = asyncio.ensure_future(adapter.execute_program(call))
        child = await the_child(pool)
        await wait_until(lambda: len(child._conversation._open) == 1)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()
        assert call.told.usage.lm_calls == 3


async def test_its_end_fails_what_runs() -> None:
    """And leaves no child; a second end finds nothing to do."""
    async with a_pool(scripted(), concurrency=1) as pool:
        adapter = an_adapter(pool)
        call = saying("hold")
        running, waiting = [asyncio.ensure_future(adapter.execute_program(call)) for _ in "12"]
        child = await the_child(pool)
        await wait_until(lambda: child.in_flight == 1)
        await adapter.cleanup()
        for asked, sentence in ((running, "was stopped"), (waiting, "were stopped")):
            with pytest.raises(AdapterError, match=sentence):
                await asked
        await adapter.cleanup()
