"""What the demo says when the server refuses it."""

from io import StringIO

import httpx
import pytest
from rich.console import Console

from app.commands.console import RefusedError
from app.commands.demo import _TASKS, _execute, _register
from app.commands.demo_batch import run_batch


async def test_a_refused_execution_is_told_with_the_server_s_words() -> None:
    """An answer without a record ends the demo with a sentence that holds the problem."""
    problem = {"type": "/problems/program-not-ready", "detail": "The program is in error."}
    transport = httpx.MockTransport(lambda _: httpx.Response(409, json=problem))
    async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
        with pytest.raises(RefusedError, match=r"answered 409: .*The program is in error"):
            await _execute(client, "program", {"question": "?"})


async def test_a_program_of_an_earlier_demo_is_used_again() -> None:
    """Nothing is registered twice."""

    def answer(request: httpx.Request) -> httpx.Response:
        signature = {"signature_id": "s", "version": 1}
        found = {"items": [{"program_id": "p"}]}
        return httpx.Response(200, json=signature if request.method == "POST" else found)

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
        assert await _register(client, _TASKS[0]) == "p"


async def test_a_batch_that_is_quicker_than_its_pause_is_shown() -> None:
    """Nothing is paused then; an item that failed is shown with its error."""
    ended = {
        "batch_id": "b",
        "status": "completed",
        "successful_items": 1,
        "total_items": 2,
        "running_items": 0,
        "progress": {"done": 2},
        "total_duration_ms": 1_500.0,
        "percentiles": {"p50": 700.0},
        "usage": {"total_tokens": 99},
        "finished_at": "2026-01-01T00:00:00Z",
    }
    item = {"status": "completed", "duration_ms": 7.0, "inputs": {"text": "[Rome]"}}
    outputs = {"cities": ["Rome"]}
    items = [
        {**item, "index": 0, "outputs": outputs, "error": None},
        {**item, "index": 1, "outputs": None, "error": {"message": "no such key"}},
    ]
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json={"items": items} if "results" in asked[-1] else ended)

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
        wide = Console(width=200, file=StringIO(), record=True)
        wide.print(await run_batch(client, "program"))
    assert asked == ["/v1/programs/program/batches", "/v1/batches/b", "/v1/batches/b/results"]
    printed = " ".join(wide.export_text().split())
    assert "completed, 1 of 2 completed in 1.5 s, median 700 ms, 99 tokens" in printed
    assert "[Rome]" in printed
    assert "['Rome']" in printed
    assert "no such key" in printed
