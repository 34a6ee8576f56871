"""The life of a serving process: its start, its refusals, its clients."""

import asyncio
import socket
from pathlib import Path

import httpx
import pytest

from app.local.postgres import LocalPostgres
from tests.support.server import run_dspatch, serving, slow_program, until_running


async def test_a_client_that_goes_away_cancels_its_execution(
    environment: dict[str, str],
) -> None:
    """A closed connection ends the execution as `cancelled`, on a real socket."""
    async with (
        serving(environment=environment) as server,
        httpx.AsyncClient(base_url=server.base_url, timeout=30) as client,
    ):
        path = await slow_program(client, 60_000)
        async with httpx.AsyncClient(base_url=server.base_url, timeout=30) as leaving:
            answering = asyncio.create_task(leaving.post(path, json={"inputs": {"a": "x"}}))
            execution_id = await until_running(client)
            answering.cancel()
        path = f"/v1/executions/{execution_id}"
        record = (await client.get(path, params={"wait_ms": 20_000})).json()
        assert record["status"] == "cancelled"


async def test_two_servers_share_one_data_directory(tmp_path: Path) -> None:
    """The second server works on the first one's records, and goes on when the first has ended."""
    elsewhere = tmp_path / "dspatch.toml"
    elsewhere.write_text('[lms.main]\nmodel = "openai/x"\napi_base = "http://127.0.0.1:9/v1"\n')
    local = ("--local", "--data-dir", str(tmp_path / "data"), "--config", str(elsewhere))
    async with serving(*local) as first, serving(*local) as second:
        async with httpx.AsyncClient(base_url=first.base_url) as client:
            await client.post("/v1/signatures", json={"name": "shared", "notation": "a -> b"})
        assert await first.stop() == 0
        async with httpx.AsyncClient(base_url=second.base_url) as client:
            names = [item["name"] for item in (await client.get("/v1/signatures")).json()["items"]]
    assert names == ["shared"]


async def test_a_taken_port_is_a_sentence(tmp_path: Path) -> None:
    """Nothing is started, and the port is named, where another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, _, err = await run_dspatch(
            "serve", "--local", "--data-dir", str(tmp_path / "data"), "--port", port
        )
    assert (code, err.count("\n")) == (1, 1)
    assert f"Cannot listen on 127.0.0.1 port {port}: Address already in use." in err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "sentence"),
    [
        (["--host", "0.0.0.0", "--local"], {}, 1, "everybody who reaches 0.0.0.0 could call"),  # noqa: S104
        (["--host", "dspatch.example", "--local"], {}, 1, "everybody who reaches dspatch.example"),
        (["--host", "0.0.0.0"], {"DSPATCH_AUTH__MODE": "none"}, 1, "everybody who reaches 0.0.0.0"),  # noqa: S104
        ([], {"DSPATCH_AUTH__MODE": "none"}, 2, "database.url: needed"),
        (["--config", "nowhere.toml"], {}, 2, "cannot read nowhere.toml: No such file"),
        ([], {"DSPATCH_DATABASE__POOL_SIZE": "0"}, 2, "database.pool_size: "),
        (["--port", "70000"], {}, 2, "less than or equal to 65535"),
    ],
)
async def test_a_start_that_cannot_be_is_refused_in_a_sentence(
    arguments: list[str],
    environment: dict[str, str],
    code: int,
    sentence: str,
    tmp_path: Path,
) -> None:
    """Each refusal names what to change, and no trace is shown."""
    data_dir = str(tmp_path / "data")
    found, _, err = await run_dspatch(
        "serve", "--data-dir", data_dir, *arguments, environment=environment
    )
    assert found == code
    assert sentence in err
    assert "Traceback" not in err
    assert not (tmp_path / "data").exists()


async def test_a_schema_that_is_not_at_head_is_refused_until_migrated(
    postgres: LocalPostgres, worker_id: str
) -> None:
    """`serve` names `dspatch migrate`; after it, the server starts on a database of one's own."""
    await postgres.ensure_database(f"empty_{worker_id}")
    environment = {
        "DSPATCH_DATABASE__URL": postgres.url(f"empty_{worker_id}"),
        "DSPATCH_AUTH__MODE": "none",
        "DSPATCH_LOGGING__FORMAT": "text",
    }
    code, _, err = await run_dspatch("serve", "--port", "0", environment=environment)
    assert code == 1
    assert "run `dspatch migrate`" in err
    code, out, _ = await run_dspatch("migrate", environment=environment)
    assert (code, out) == (0, "The schema is at head.\n")
    async with (
        serving(environment=environment) as server,
        httpx.AsyncClient(base_url=server.base_url) as client,
    ):
        assert (await client.get("/readyz")).status_code == 200
