"""A real model answers through real HTTP, and the record stands in PostgreSQL."""

import signal
from pathlib import Path

import asyncpg
import httpx
import pytest

from app.local.postgres import LocalPostgres
from tests.support.server import run_dspatch, serving


async def _register(client: httpx.AsyncClient, notation: str, **program: object) -> str:
    signature = await client.post(
        "/v1/signatures", json={"name": "asked", "notation": notation, "instructions": "Answer."}
    )
    created = await client.post(
        "/v1/programs",
        json={
            "name": "answers",
            "signature_id": signature.json()["signature_id"],
            "module": "predict",
            "adapter": "dspy",
            **program,
        },
    )
    assert created.json()["status"] == "ready", created.text
    return str(created.json()["program_id"])


async def _rows(data_dir: Path) -> list[asyncpg.Record]:
    async with LocalPostgres(data_dir) as postgres:
        connection = await asyncpg.connect(postgres.url("dspatch"))
        rows = await connection.fetch(
            "SELECT id, status, outputs::text, usage::text FROM executions"
        )
        await connection.close()
    return list(rows)


@pytest.mark.timeout(240)
async def test_a_real_model_answers_and_its_record_survives_the_server(tmp_path: Path) -> None:
    """The answer over HTTP is the row in PostgreSQL, read after SIGTERM ended the server with 0."""
    async with serving("--local", "--data-dir", str(tmp_path)) as server:
        async with httpx.AsyncClient(base_url=server.base_url, timeout=60) as client:
            program_id = await _register(
                client,
                'review: string -> mood: atom["good", "bad"], sure: probability',
                config={"max_tokens": 100},
            )
            answer = await client.post(
                f"/v1/programs/{program_id}/executions",
                json={"inputs": {"review": "I love it."}},
            )
        assert await server.stop(signal.SIGTERM) == 0
    assert answer.status_code == 200, answer.text
    record = answer.json()
    assert record["outputs"]["mood"] in {"good", "bad"}
    assert record["usage"]["lm_calls"] == 1
    assert record["usage"]["total_tokens"] > 0
    (row,) = await _rows(tmp_path)
    assert (str(row["id"]), row["status"]) == (record["execution_id"], "completed")


@pytest.mark.timeout(900)  # dozens of answers of the real model, on cores that others use too
@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.long)])
async def test_the_demo_ends_well_and_leaves_nothing_running(tmp_path: Path, times: int) -> None:
    """A second demo works on what the first left; each prints 12 records and a batch's table."""
    for _ in range(times):
        code, out, err = await run_dspatch("demo", "--data-dir", str(tmp_path))
        assert code == 0, err
        assert out.count("completed") + out.count("failed") >= 12 + 24
        assert "24 completed in" in out
        assert "dspatch serve --local" in out
    assert not (tmp_path / "postgres" / "postmaster.pid").exists()
    assert len(await _rows(tmp_path)) == times * (12 + 24)
