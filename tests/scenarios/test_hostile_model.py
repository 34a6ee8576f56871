"""A server whose model does what no model should: what is recorded, when it ends, what it takes."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.factories import post_execution, post_program
from tests.support.hostile_model import FAULTS, MEBIBYTE, STATUSES, HostileModel
from tests.support.server import ServerProcess, serving
from tests.support.wait import wait_until_so

MOST_MEMORY_MIB = 64
DEADLINE_S = 5.0
SLACK_S = 1.0
OUTCOMES = {None: "success", "timeout": "timeout"}
OPTIONS = {"timeout": 2_000, "deadline_ms": 5_000, "max_retries": 1, "retry_delay": 100}


@dataclass(frozen=True)
class Expected:
    """How an execution ends: its error, how many attempts it makes, and when it is over."""

    error: str | None
    attempts: int = 2
    from_s: float = 0.0
    to_s: float = DEADLINE_S
    wait_s: float = 0.0
    retry_after: float | None = None


ENDS: dict[str, Expected] = {
    "late": Expected(None, 1, from_s=1),
    "byte by byte": Expected(None, 1),
    **{
        name: Expected("timeout", 2, from_s=4)
        for name in ("hang", "hang in the head", "hang in the body", "drip a head", "drip a body")
    },
    **{
        name: Expected("connection_failed")
        for name in ("reset", "leave", "half an answer", "half, then reset")
    },
    **{
        name: Expected("backend_error")
        for name in (
            "broken chunks",
            "no http",
            "endless head",
            "html",
            "empty",
            "no json",
            "wrong json",
            "nothing in it",
            "null",
            "deep json",
            "no utf-8",
            "not packed",
            "redirect",
            "huge",
            "endless",
            "bomb",
        )
    },
    "limited": Expected("rate_limited"),
    "limited for a second": Expected("rate_limited", from_s=1, wait_s=1),
    "limited for half a second": Expected("rate_limited", wait_s=0.5),
    "limited until": Expected("rate_limited", from_s=1, wait_s=1),
    "limited before": Expected("rate_limited"),
    "limited for less than nothing": Expected("rate_limited"),
    "limited for nonsense": Expected("rate_limited"),
    "limited for ever": Expected("rate_limited", 1, to_s=0, retry_after=60),
    "busy for ever": Expected("overloaded", 1, to_s=0, retry_after=60),
    **{
        f"status {code}": Expected("overloaded" if code in {503, 529} else "backend_error")
        for code in STATUSES
    },
}

ADAPTERS = 8
"""Each has a retry budget of its own, which lets ten retries pass in ten seconds."""

BIG = ("huge", "endless", "bomb")
SLOW = tuple(name for name, of in ENDS.items() if of.from_s >= 1)
QUICK = tuple(name for name in ENDS if name not in {*BIG, *SLOW})


def test_every_fault_is_tried() -> None:
    """A fault that the server knows has its expected end."""
    assert ENDS.keys() == FAULTS.keys()


class Rig:
    """A server between a client and a hostile model; each fault has an LM of its own.

    Else the limits that one LM asks for would be another's.
    """

    def __init__(self, server: ServerProcess, client: httpx.AsyncClient) -> None:
        self._client = client
        self._process = psutil.Process(server.process.pid)
        self._programs = count()

    async def run(self, name: str, adapter: str | None = None) -> dict[str, Any]:
        """Have the model do this to an execution, and give the record."""
        at = list(FAULTS).index(name.removesuffix(" once"))
        label = f"program_{next(self._programs)}"
        adapter = adapter or f"a{at % ADAPTERS}"
        program = await post_program(
            self._client, name=label, adapter=adapter, config={"lm": f"lm{at}"}
        )
        inputs = {"question": f"<{name}>"}
        answer = (await post_execution(self._client, program, inputs, options=OPTIONS)).json()
        record = await self._client.get(f"/v1/executions/{answer['execution_id']}")
        return dict(record.json())

    async def run_all(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Do so side by side."""
        wanted = list(names)
        records = await asyncio.gather(*map(self.run, wanted))
        return dict(zip(wanted, records, strict=True))

    def memory(self) -> int:
        """Give the memory that the server's process holds, in bytes."""
        return int(self._process.memory_info().rss)

    async def watch(self, seen: list[int]) -> None:
        """Look at the memory until cancelled."""
        while True:
            seen.append(self.memory())
            await asyncio.sleep(0.01)


def settings(model: HostileModel) -> str:
    """Write the settings of a server whose LMs are all hostile, and whose breakers stay closed."""
    lms = [
        f'[lms.lm{n}]\nmodel = "openai/small"\napi_base = "{model.base_url}"'
        for n in range(len(FAULTS))
    ]
    adapters = [
        f'[adapters.a{n}]\nkind = "dspy"\nbreaker = {{failures = 1000}}' for n in range(ADAPTERS)
    ]
    safe = '[adapters.safe]\nkind = "failover"\nmembers = ["a0", "mock"]'
    return "\n".join([*lms, *adapters, safe])


@pytest.fixture
async def model() -> AsyncIterator[HostileModel]:
    """Give a hostile model."""
    async with HostileModel() as of_test:
        yield of_test


async def _is_warm(client: httpx.AsyncClient) -> bool:
    return (await client.get("/startupz")).status_code == httpx.codes.OK


@asynccontextmanager
async def a_rig(
    environment: Mapping[str, str], model: HostileModel, folder: Path
) -> AsyncIterator[Rig]:
    """Serve, with DSPy imported and every program's way gone once."""
    config = folder / "dspatch.toml"
    config.write_text(settings(model))
    async with (
        serving("--config", str(config), environment=environment) as server,
        httpx.AsyncClient(base_url=server.base_url, timeout=60) as client,
    ):
        rig = Rig(server, client)
        await wait_until_so(partial(_is_warm, client))
        for n in range(ADAPTERS):
            await rig.run("byte by byte", f"a{n}")
        model.journal.clear()
        yield rig


def in_tens(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Give so many at a time that they do not stand in each other's way."""
    for start in range(0, len(names), 10):
        yield names[start : start + 10]


def check(name: str, record: Mapping[str, Any], model: HostileModel) -> None:
    """Hold a record against what is expected of this fault."""
    expected = ENDS[name]
    error = record["error"] or {"type": None, "retry_after": None}
    calls = [call.at for call in model.calls(name)]
    about = f"{name}: {record}"
    assert (error["type"], len(record["attempts"])) == (expected.error, expected.attempts), about
    assert record["outcome"] == OUTCOMES.get(expected.error, "execution_error"), about
    assert record["usage"]["lm_calls"] == len(calls) == expected.attempts, about
    assert expected.from_s <= record["duration_ms"] / 1_000 <= expected.to_s + SLACK_S, about
    for attempt in record["attempts"]:
        assert attempt["duration_ms"] <= OPTIONS["timeout"] + SLACK_S * 1_000, about
    if expected.retry_after is not None:
        assert error["retry_after"] == expected.retry_after, about
    if expected.wait_s and expected.attempts > 1:
        assert calls[1] - calls[0] >= expected.wait_s, about


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_each_fault_is_recorded_as_it_was_and_in_time(
    environment: dict[str, str], model: HostileModel, tmp_path: Path
) -> None:
    """Outcome, attempts and time of every fault stand in the record; retries wait as asked."""
    async with a_rig(environment, model, tmp_path) as rig:
        for names in (SLOW, *in_tens(QUICK)):
            for name, record in (await rig.run_all(names)).items():
                check(name, record, model)


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_answers_without_end_take_no_memory(
    environment: dict[str, str], model: HostileModel, tmp_path: Path
) -> None:
    """Two hundred mebibytes, packed or not, are left in time, within 64 MiB of what was held."""
    seen: list[int] = []
    async with a_rig(environment, model, tmp_path) as rig:
        base = rig.memory()
        watching = asyncio.create_task(rig.watch(seen))
        for name in BIG:
            check(name, await rig.run(name), model)
        watching.cancel()
    grown = (max(seen) - base) / MEBIBYTE
    assert grown <= MOST_MEMORY_MIB


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_what_passes_is_tried_again_or_elsewhere(
    environment: dict[str, str], model: HostileModel, tmp_path: Path
) -> None:
    """A fault that passes costs one retry; with another member it costs none."""
    async with a_rig(environment, model, tmp_path) as rig:
        for name in ("reset once", "status 500 once", "limited once", "html once", "leave once"):
            record = await rig.run(name)
            assert (record["status"], len(record["attempts"])) == ("completed", 2), record
        for name in ("hang", "reset", "limited for ever", "busy for ever", "status 502"):
            record = await rig.run(name, "safe")
            first, second = record["attempts"]
            assert (record["adapter"], second["error"]) == ("mock", None), record
            assert first["error"]["type"] == ENDS[name].error, record
            assert record["duration_ms"] <= OPTIONS["timeout"] + SLACK_S * 1_000, record
