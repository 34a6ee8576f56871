"""`dspatch demo`: a real model answers through Dspatch, one by one and then in a batch."""

import asyncio
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from app.commands.answers import document_of
from app.commands.console import out, plain_errors
from app.commands.demo_batch import run_batch
from app.commands.local_stack import LM, local_stack
from app.commands.options import DEFAULT_DATA_DIR, DataDir
from app.commands.server import bind, serving
from app.settings import AuthSettings, LoggingSettings, Settings

_HOST = "127.0.0.1"
_TIMEOUT_S = 150.0


@dataclass(frozen=True)
class _Task:
    """A signature, a program on it, and what it is run on."""

    name: str
    notation: str
    instructions: str
    module: str
    inputs: Sequence[Mapping[str, str]]


_TASKS = (
    _Task(
        "demo_answer",
        "question: string -> answer: string",
        "Answer the question in one short sentence.",
        "chain_of_thought",
        [
            {"question": "What is the capital of France?"},
            {"question": "What color is the sky on a clear day?"},
            {"question": "How many days does a week have?"},
            {"question": "Which animal says meow?"},
        ],
    ),
    _Task(
        "demo_mood",
        'review: string -> sentiment: atom["positive", "negative", "neutral"], '
        "confidence: probability",
        "Judge the mood of the review, and how sure you are, from 0 to 1.",
        "predict",
        [
            {"review": "I love this lamp, it makes the room warm and bright."},
            {"review": "The kettle broke after two days. Terrible quality."},
            {"review": "The box holds ten envelopes."},
            {"review": "Best coffee I ever had, and so friendly people!"},
        ],
    ),
    _Task(
        "demo_cities",
        "text: string -> cities: list[string]",
        "List the names of the cities in the text.",
        "predict",
        [
            {"text": "We flew from Paris to Rome and took the train to Vienna."},
            {"text": "She was born in Lima and works in Oslo."},
            {"text": "The road from Berlin to Prague is closed."},
            {"text": "Tokyo and Kyoto are busy in spring."},
        ],
    ),
)


def demo(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Run three programs and a batch on a small real model, from nothing; safe to run again.

    For example `dspatch demo`, or `dspatch demo --data-dir /tmp/demo`.
    """
    with plain_errors():
        asyncio.run(_demo(data_dir))


async def _demo(data_dir: Path) -> None:
    out.print("Starting PostgreSQL and a small language model …")
    quiet = Settings(
        auth=AuthSettings(mode="none"), logging=LoggingSettings(level="error", format="text")
    )
    async with local_stack(quiet, data_dir) as settings:
        with bind(_HOST, 0) as listener:
            async with serving(settings, listener):
                base_url = f"http://{_HOST}:{listener.getsockname()[1]}"
                async with httpx.AsyncClient(base_url=base_url, timeout=_TIMEOUT_S) as client:
                    programs = [await _register(client, task) for task in _TASKS]
                    records = [await _execute(client, *run) for run in _progress(programs)]
                    out.print(_table(records))
                    out.print(await run_batch(client, programs[2]))
    out.print(_how_to_go_on(programs[0], data_dir), soft_wrap=True, highlight=False, markup=False)


async def _register(client: httpx.AsyncClient, task: _Task) -> str:
    """Register the task's signature and program, or find those of an earlier run."""
    definition = {
        "name": task.name,
        "notation": task.notation,
        "instructions": task.instructions,
    }
    signature = document_of(await client.post("/v1/signatures", json=definition))
    wanted = {"signature_id": signature["signature_id"], "status": "ready"}
    known = document_of(await client.get("/v1/programs", params=wanted))["items"]
    if known:
        return str(known[0]["program_id"])
    program = {
        "name": f"{task.name}_{signature['version']}",
        "signature_id": signature["signature_id"],
        "module": task.module,
        "adapter": "dspy",
        "config": {"lm": LM, "max_tokens": 120},
    }
    return str(document_of(await client.post("/v1/programs", json=program))["program_id"])


def _progress(programs: Sequence[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Give each run with a bar that moves as they are done."""
    runs = [
        (program_id, inputs)
        for program_id, task in zip(programs, _TASKS, strict=True)
        for inputs in task.inputs
    ]
    yield from track(runs, description="Executing", console=out)


async def _execute(
    client: httpx.AsyncClient, program_id: str, inputs: Mapping[str, str]
) -> dict[str, Any]:
    """Run once and read the record back; a failed execution has one too."""
    answer = await client.post(f"/v1/programs/{program_id}/executions", json={"inputs": inputs})
    execution_id = answer.json().get("execution_id") or document_of(answer)["execution_id"]
    return document_of(await client.get(f"/v1/executions/{execution_id}"))


def _table(records: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("program", "status", "ms", "tokens", "input", "outputs", title="Records")
    for record in records:
        shown = record["outputs"] or record["error"]
        table.add_row(
            record["program_name"],
            record["status"],
            f"{record['duration_ms']:.0f}",
            str(record["usage"]["total_tokens"]),
            escape(next(iter(record["inputs"].values()))),
            escape("\n".join(f"{name}: {json.dumps(value)}" for name, value in shown.items())),
        )
    return table


def _how_to_go_on(program_id: str, data_dir: Path) -> str:
    place = "" if data_dir == DEFAULT_DATA_DIR else f" --data-dir {shlex.quote(str(data_dir))}"
    body = json.dumps({"inputs": {"question": "What is the capital of Italy?"}})
    return f"""
The records stay in {data_dir}. To go on, start the server:

  .venv/bin/dspatch serve --local{place}

and ask it from another terminal:

  curl -s http://127.0.0.1:8000/v1/programs/{program_id}/executions \\
    -H 'Content-Type: application/json' -d '{body}'
  curl -s 'http://127.0.0.1:8000/v1/executions?limit=3&include=outputs'"""
