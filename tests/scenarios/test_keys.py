"""Keys on real servers: who is let in, how a key dies, and that no secret is told."""

import asyncio
import json
import secrets
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from app.database import Database
from app.models import Base
from app.models.key_text import KeyText
from app.models.scopes import Scope
from tests.support.factories import a_key, bearing, post_execution, post_program
from tests.support.server import ServerProcess, run_dspatch, serving

MOST_S = 5.0
"""How long a revoked key may live."""


@pytest.fixture
def environment(database_url: str, database: Database) -> dict[str, str]:  # noqa: ARG001 - emptied after us
    """Variables of a server on this worker's database, which asks for keys as it does unasked."""
    return {"DSPATCH_DATABASE__URL": database_url, "DSPATCH_LOGGING__LEVEL": "debug"}


def _address(server: ServerProcess) -> tuple[str, int]:
    port = urlsplit(server.base_url).port
    assert port is not None
    return "127.0.0.1", port


async def test_who_may_not_call_is_answered_before_the_body(
    environment: dict[str, str], database: Database
) -> None:
    """401 and 403 come while a hundred megabytes are still to be sent, and the connection ends."""
    reader = await a_key(database, Scope.READ)
    async with serving(environment=environment) as server:
        for header, status in (("", b"401"), (f"Authorization: Bearer {reader.text}\r\n", b"403")):
            reading, writing = await asyncio.open_connection(*_address(server))
            writing.write(
                b"POST /v1/signatures HTTP/1.1\r\nHost: dspatch\r\nContent-Length: 100000000\r\n"
                b"Content-Type: application/json\r\n" + header.encode() + b"\r\n"
            )
            answer = await reading.read()
            assert answer.startswith(b"HTTP/1.1 " + status)
            writing.close()


async def test_who_may_not_call_hears_the_answer_whole(environment: dict[str, str]) -> None:
    """A body that comes after the answer does not reset the connection under it."""
    async with serving(environment=environment) as server:
        reading, writing = await asyncio.open_connection(*_address(server))
        writing.write(
            b"POST /v1/signatures HTTP/1.1\r\nHost: dspatch\r\nContent-Length: 200000\r\n\r\n"
        )
        begun = await reading.readuntil(b"\r\n\r\n")
        writing.write(b"x" * 200_000)
        await writing.drain()
        assert (await reading.read()).endswith(b"}")
        writing.close()
        assert begun.startswith(b"HTTP/1.1 401")
        assert b"connection: close" in begun.lower()


async def test_a_revoked_key_dies_on_a_running_server(
    environment: dict[str, str], database: Database
) -> None:
    """Five seconds after its revocation at most; when it was used last is written at the end.

    The server listens beyond loopback, which it may, since it asks for keys.
    """
    key = await a_key(database)
    async with (
        serving("--host", "0.0.0.0", environment=environment) as server,  # noqa: S104 - with keys
        httpx.AsyncClient(base_url="http://{}:{}".format(*_address(server))) as client,
    ):
        assert (await client.get("/v1/programs")).status_code == 401
        client.headers.update(bearing(key))
        assert (await client.get("/v1/programs")).status_code == 200
        code, _, _ = await run_dspatch("keys", "revoke", key.key_id, environment=environment)
        revoked_at = monotonic()
        while (await client.get("/v1/programs")).status_code == 200:
            assert monotonic() - revoked_at < MOST_S
        assert code == 0
    _, out, _ = await run_dspatch("keys", "list", "--json", environment=environment)
    (listed,) = json.loads(out)["items"]
    assert listed["last_used_at"] is not None


async def test_a_local_server_asks_for_keys_where_it_is_told_to(tmp_path: Path) -> None:
    """`--local` has no keys unless the settings say so; one is made in the same directory."""
    config = tmp_path / "dspatch.toml"
    config.write_text('[auth]\nmode = "keys"\n[lms.main]\nmodel = "openai/x"\n')
    local = ("--local", "--data-dir", str(tmp_path / "data"), "--config", str(config))
    code, out, _ = await run_dspatch("keys", "create", "me", "--scope", "read", "--json", *local)
    assert code == 0
    async with (
        serving(*local) as server,
        httpx.AsyncClient(base_url=server.base_url) as client,
    ):
        assert (await client.get("/v1/programs")).status_code == 401
        client.headers["Authorization"] = f"Bearer {json.loads(out)['key']}"
        assert (await client.get("/v1/programs")).status_code == 200


async def test_no_secret_is_told(
    environment: dict[str, str], database: Database, database_url: str
) -> None:
    """Neither logs nor answers nor tables hold a key's secret, be the key good, bad or mistyped."""
    good, bad = await a_key(database), KeyText.new(secrets.choice)
    told: list[str] = []

    async def tell(answer: httpx.Response) -> None:
        told.append(str(answer.headers) + (await answer.aread()).decode())

    async with serving(environment=environment) as server:
        hooks = {"response": [tell]}
        async with httpx.AsyncClient(base_url=server.base_url, event_hooks=hooks) as client:
            client.headers.update(bearing(good))
            program = await post_program(client, {"error": {"type": "authentication"}})
            await post_execution(client, program)
            for path in ("/openapi.json", "/problems/unauthorized", "/livez"):
                await client.get(path)
            for text in (bad.text, good.text[:-1], good.text + "x", good.text[:20] + good.secret):
                client.headers["Authorization"] = f"Bearer {text}"
                assert (await client.get("/v1/programs")).status_code == 401
    told += [server.output, await _all_rows(database_url)]
    assert good.key_id in told[-1]
    for key in (good, bad):
        assert not [one for one in told if key.secret[:30] in one]


async def _all_rows(database_url: str) -> str:
    connection = await asyncpg.connect(database_url)
    rows = [
        str(await connection.fetch(f"SELECT t::text FROM {table} AS t"))  # noqa: S608 - our own
        for table in Base.metadata.tables
    ]
    await connection.close()
    return "\n".join(rows)
