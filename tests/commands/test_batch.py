"""`dspatch batch`, as somebody types it who has a file of inputs."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from app.commands import batch as command
from app.commands.batch import _Run
from app.commands.batch_run import look_on, save
from app.commands.cli import cli
from app.commands.console import RefusedError
from app.database import Database
from app.settings import Settings, WorkerSettings
from tests.support.application import served
from tests.support.factories import NOTATION

Batch = dict[str, Any]


@pytest.fixture
def server(settings: Settings, database: Database) -> Iterator[str]:  # noqa: ARG001 - emptied after us
    """A server that works; give its address."""
    with served(settings.model_copy(update={"worker": WorkerSettings()})) as address:
        yield address


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["batch", *arguments])


def a_program(server: str, script: Any = None, **members: Any) -> dict[str, Any]:
    """Register a program that answers at once."""
    with httpx.Client(base_url=server, timeout=30) as client:
        signature = {"name": "answer", "notation": NOTATION}
        made = client.post("/v1/signatures", json=signature).json()
        body = {
            "name": "answers",
            "signature_id": made["signature_id"],
            "module": "predict",
            "adapter": "mock",
            "config": {"mock": {"outputs": {"answer": "A"}} if script is None else script},
            **members,
        }
        return dict(client.post("/v1/programs", json=body).raise_for_status().json())


def a_file(folder: Path, *lines: Any, name: str = "rows.jsonl") -> str:
    """Write a file, a line each."""
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def test_a_file_is_run_to_a_file(server: str, tmp_path: Path) -> None:
    """Results in order, with the stream's last line; 1 where an item failed; then the rest."""
    program = a_program(server)
    rows = [json.dumps({"custom_id": f"row-{n}", "inputs": {"question": f"{n}"}}) for n in range(9)]
    wanted = ("--server", server, "--program", "answers")
    results = tmp_path / "results.jsonl"
    done = run("run", a_file(tmp_path, *rows), *wanted, "--out", str(results), "-o", "batch_size=3")
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert done.exit_code == 0, done.output
    assert "is completed: 9 of 9 ended, 0 failed." in done.stdout
    assert [line["custom_id"] for line in lines[:-1]] == [f"row-{n}" for n in range(9)]
    assert lines[-1] == {"end": True, "count": 9}
    assert {path.name for path in tmp_path.iterdir()} == {"rows.jsonl", "results.jsonl"}

    path = a_file(tmp_path, "question,other", "a,", '"b, or c",', name="rows.csv")
    done = run("run", path, *wanted, "-o", "on_invalid=record", "--json")
    batch = json.loads(done.stdout)
    assert (done.exit_code, batch["successful_items"]) == (0, 2)
    assert f"The batch is {batch['batch_id']}." in done.stderr

    path = a_file(tmp_path, *rows[:2], "{}")
    done = run("run", path, *wanted, "-o", "on_invalid=record", "--json")
    batch = json.loads(done.stdout)
    assert (done.exit_code, batch["status"], batch["failed_items"]) == (1, "completed", 1)
    done = run("retry", batch["batch_id"], "--server", server, "-o", "batch_size=7", "--json")
    again = json.loads(done.stdout)
    assert (again["retry_of"], again["batch_options"]["batch_size"]) == (batch["batch_id"], 7)
    assert again["program_id"] == program["program_id"]


def test_a_batch_is_looked_after(server: str, tmp_path: Path) -> None:
    """Paused, looked at, gone on with, and cancelled."""
    a_program(server, {"latency_ms": 60_000})
    path = a_file(tmp_path, '{"question": "a"}')
    with httpx.Client(base_url=server, timeout=30) as client:
        (program,) = client.get("/v1/programs").json()["items"]
        content = Path(path).read_bytes()
        batch_id = client.post(
            f"/v1/programs/{program['program_id']}/batches",
            content=content,
            headers={"Content-Type": "application/jsonl"},
        ).json()["batch_id"]
    for act, status in (("pause", "paused"), ("status", "paused"), ("resume", "running")):
        done = run(act, batch_id, "--server", server)
        assert (done.exit_code, f"is {status}: 0 of 1 ended" in done.stdout) == (0, True), act
        assert f"--resume {batch_id}" in done.stdout
    assert run("cancel", batch_id, "--server", server).exit_code == 0
    done = run("run", "--resume", batch_id, "--server", server, "--json")
    assert (done.exit_code, json.loads(done.stdout)["status"]) == (1, "cancelled")


def test_a_webhook_is_posted_once_more(
    settings: Settings,
    database: Database,  # noqa: ARG001 - emptied after us
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The newest, or the one that is named; a batch without any is told from one that is not."""
    monkeypatch.setenv("DSPATCH_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    with served(settings) as server, httpx.Client(base_url=server, timeout=30) as client:
        batches = f"/v1/programs/{a_program(server)['program_id']}/batches"
        options = {"progress_callback": "https://hooks.example.com/"}
        told, untold = (
            client.post(batches, json={"batch_inputs": [], "batch_options": chosen}).json()
            for chosen in (options, {})
        )
        where = ("--server", server)
        posted = json.loads(run("redeliver", told["batch_id"], *where, "--json").stdout)
        assert (posted["type"], posted["status"]) == ("batch.completed", "pending")
        named = ("--delivery", posted["delivery_id"])
        done = run("redeliver", told["batch_id"], *named, *where)
        assert done.stdout == f"batch.completed ({posted['delivery_id']}) is pending.\n"
        done = run("redeliver", untold["batch_id"], *where)
        assert (done.exit_code, "has told no receiver anything" in done.stderr) == (1, True)
        done = run("redeliver", untold["batch_id"], *named, *where)
        assert (done.exit_code, "delivery-not-found" in done.stderr) == (1, True)


def test_what_cannot_be_run_is_said_in_a_sentence(server: str, tmp_path: Path) -> None:
    """A program that is not there, lines that do not fit, a batch that is not, no server."""
    wanted, path = ("--server", server, "--program", "answers"), a_file(tmp_path, *["{}"] * 30)
    done = run("run", path, *wanted)
    assert (done.exit_code, "There is no program answers." in done.stderr) == (1, True)
    a_program(server)
    done = run("run", path, *wanted)
    assert done.exit_code == 1
    assert "/lines/19/question: " in done.stderr
    assert "… and 10 more" in done.stderr
    done = run("run", path, *wanted, "-o", "batch_size=0")
    assert (done.exit_code, "/query/batch_size: " in done.stderr) == (1, True)
    table = a_file(tmp_path, "question", '"a","b"', name="rows.csv")
    done = run("run", table, *wanted)
    assert (done.exit_code, "rows.csv cannot be read: line 2 has" in done.stderr) == (1, True)
    done = run("status", "01890000-0000-7000-8000-000000000001", "--server", server)
    assert (done.exit_code, "There is no batch" in done.stderr) == (1, True)
    done = run("status", "x", "--server", "http://127.0.0.1:1")
    assert (done.exit_code, "cannot be spoken to" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("rows.jsonl",),
        ("rows.jsonl", "--program", "p", "--resume", "x"),
        ("rows.jsonl", "--program", "p", "-o", "batch_size"),
        ("rows.txt", "--program", "p"),
        ("no.jsonl", "--program", "p"),
    ],
)
def test_wrong_use_is_told_before_anything_is_done(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file or two sources, no program, an option without a value, a file of another kind."""
    a_file(tmp_path, "{}")
    a_file(tmp_path, "{}", name="rows.txt")
    monkeypatch.chdir(tmp_path)
    assert run("run", *arguments).exit_code == 2


RUNNING = {
    "batch_id": "b",
    "status": "running",
    "total_items": 2,
    "failed_items": 0,
    "progress": {"done": 1, "rate_per_s": 2.0, "eta_ms": 500},
    "finished_at": None,
}


@pytest.mark.parametrize("cancels", [True, False])
async def test_ctrl_c_asks_what_shall_become_of_the_batch(*, cancels: bool) -> None:
    """It is cancelled and looked on until it has ended, or left running."""
    batch = {**RUNNING, "failed_items": 1}

    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)  # as whoever waits for a server does
        if request.method == "POST":
            assert request.url.path == "/v1/batches/b/cancel"
            batch.update(status="cancelled", finished_at="now")
        elif batch["finished_at"] is None:
            os.kill(os.getpid(), signal.SIGINT)
        return httpx.Response(200, json=batch)

    async def begin(_client: httpx.AsyncClient) -> Batch:
        return dict(batch)

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
        ended = await asyncio.wait_for(_Run(begin, None, lambda: cancels)(client), 20)
    assert ended["status"] == ("cancelled" if cancels else "running")


async def test_a_server_that_is_away_for_a_moment_is_waited_for() -> None:
    """Whether nobody answers, or somebody who cannot; the batch goes on meanwhile."""
    answers: list[httpx.Response | httpx.TransportError] = [
        httpx.ConnectError("refused"),
        httpx.Response(503, text="it drains"),
        httpx.ReadTimeout("silent"),
        httpx.Response(200, json={**RUNNING, "finished_at": "now"}),
    ]

    def answer(_request: httpx.Request) -> httpx.Response:
        if isinstance(given := answers.pop(0), httpx.TransportError):
            raise given
        return given

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
        ended = await look_on(client, RUNNING, asyncio.Event())
    assert (ended["finished_at"], answers) == ("now", [])


@pytest.mark.parametrize(("status", "stops"), [(503, True), (404, False)])
async def test_a_server_is_not_waited_for_in_vain(status: int, *, stops: bool) -> None:
    """Somebody presses Ctrl-C, or it says what no waiting will change."""
    stopped, asked = asyncio.Event(), list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if stops:
            stopped.set()
        return httpx.Response(status, text="no")

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
        with pytest.raises(RefusedError, match=f"answered {status}"):
            await look_on(client, RUNNING, stopped)
    assert len(asked) == 1


def test_where_nobody_can_be_asked_the_batch_runs_on() -> None:
    """As under a scheduler."""
    assert not CliRunner().invoke(cli, ["batch", "--help"]).exit_code
    assert command._wants_cancel() is False


@pytest.mark.parametrize(
    ("status", "text"), [(200, '{"index":0}\n'), (404, '{"detail":"There is no batch."}')]
)
async def test_results_that_are_not_whole_are_no_file(
    status: int, text: str, tmp_path: Path
) -> None:
    """Where their last line is missing, or the batch is."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, text=text))
    async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
        with pytest.raises(RefusedError):
            await save(client, "b", tmp_path / "results.jsonl")
    assert not (tmp_path / "results.jsonl").exists()
