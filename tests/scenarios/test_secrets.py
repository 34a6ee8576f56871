"""The operator's secrets, and callers' keys, are told nowhere, whatever goes wrong."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import asyncpg
import httpx
import pytest

from app.local.postgres import LocalPostgres
from tests.support.factories import NOTATION, QUESTION
from tests.support.model_server import Answer, ModelServer, completion, html, reset, status
from tests.support.server import ServerProcess, serving

PASSWORD = "canary/dsn word"  # noqa: S105 - a canary
LM_KEY = "canary-lm-key-0001"
ENV_KEY = "canary-lm-key-of-a-variable"
API_KEY = "dsp_Ab12cd34_Y2FuYXJ5LW9mLWEtY2xpZW50"
BEARER = "canary-bearer-of-a-client"
KEYS = {"main": LM_KEY, "env": ENV_KEY}
RUNS = 6
READ = (
    "/v1/executions?include=inputs,outputs,raw_output,attempts",
    "/v1/programs",
    "/openapi.json",
    "/metrics",
    "/readyz",
    "/startupz",
)
CANARIES = (PASSWORD, quote(PASSWORD, safe=""), LM_KEY, ENV_KEY, API_KEY, BEARER)


@pytest.fixture
async def secret_environment(
    postgres: LocalPostgres, environment: dict[str, str], worker_id: str
) -> dict[str, str]:
    """Variables of a server at the finest log level whose database's user has a password."""
    url = environment["DSPATCH_DATABASE__URL"]
    user = f"canary_{worker_id}"
    connection = await asyncpg.connect(postgres.url("postgres"))
    if not await connection.fetch("SELECT 1 FROM pg_roles WHERE rolname = $1", user):
        await connection.execute(f"CREATE ROLE {user} SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
    await connection.close()
    with_password = url.replace("://postgres@", f"://{user}:{quote(PASSWORD, safe='')}@")
    assert with_password != url
    return environment | {
        "DSPATCH_DATABASE__URL": with_password,
        "DSPATCH_LOGGING__LEVEL": "debug",
        "LM_KEY": ENV_KEY,
    }


def _config(path: Path, base_url: str) -> Path:
    path.write_text(
        f'[lms.main]\nmodel = "openai/small"\napi_base = "{base_url}"\napi_key = "{LM_KEY}"\n'
        f'[lms.env]\nmodel = "openai/small"\napi_base = "{base_url}"\napi_key_env = "LM_KEY"\n'
    )
    return path


def _talkative(key: str) -> Sequence[Answer]:
    """Answers that repeat the key, as servers and gateways do in their errors."""
    words = f"Incorrect API key provided: {key}, Bearer {key}"
    return (
        status(401, {"error": {"message": words}}),
        status(500, {"error": {"message": words}}),
        status(400, {"error": {"message": words, "code": "context_length_exceeded"}}),
        html(502),
        reset(),
    )


async def _run_everything(client: httpx.AsyncClient, model: ModelServer) -> list[httpx.Response]:
    """Execute on each LM through each failure, and ask for everything that can be read."""
    signature = await client.post("/v1/signatures", json={"name": "s", "notation": NOTATION})
    answers = [signature]
    for lm, key in KEYS.items():
        body = {
            "name": f"on_{lm}",
            "signature_id": signature.json()["signature_id"],
            "module": "predict",
            "adapter": "dspy",
            "config": {"lm": lm},
        }
        program = await client.post("/v1/programs", json=body)
        path = f"/v1/programs/{program.json()['program_id']}"
        model.script(*_talkative(key))
        for _ in range(RUNS):
            run = {"inputs": QUESTION, "execution_options": {"max_retries": 0}}
            answers.append(await client.post(f"{path}/executions", json=run))
        answers.append(await client.get(path))
    answers.append(await client.get(f"/v1/{API_KEY}", params={"api_key": API_KEY}))
    return answers + [await client.get(path) for path in READ]


async def _rows(url: str) -> str:
    """Everything that the database holds of executions and programs, as text."""
    connection = await asyncpg.connect(url)
    tables = ("executions", "programs", "program_revisions", "signatures")
    rows = [await connection.fetch(f"SELECT t::text FROM {table} t") for table in tables]  # noqa: S608 - our tables
    await connection.close()
    return "\n".join(str(row[0]) for table in rows for row in table)


def _found(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text]


async def _until_told(server: ServerProcess) -> str:
    assert await server.stop() == 0
    return server.output


async def test_no_secret_is_told_anywhere(
    secret_environment: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    """Neither by logs at the finest level, nor by records, problems, figures or the document."""
    async with ModelServer() as model:
        model.always(completion('{"answer": "Paris"}'))
        config = _config(tmp_path / "dspatch.toml", model.base_url)
        async with serving("--config", str(config), environment=secret_environment) as server:
            headers = {"Authorization": f"Bearer {API_KEY}", "X-Request-ID": API_KEY}
            async with httpx.AsyncClient(
                base_url=server.base_url, headers=headers, timeout=30
            ) as client:
                answers = await _run_everything(client, model)
                headers["Authorization"] = f"Bearer {BEARER}"
                await client.get("/v1/programs", headers=headers)
            log = await _until_told(server)
    statuses = [answer.status_code for answer in answers]
    assert {200, 201, 404, 502, 503} <= set(statuses)
    assert [call.headers["authorization"] for call in model.completions] == [
        f"Bearer {key}" for key in KEYS.values() for _ in range(RUNS)
    ]
    assert "on_main" in log
    assert _found(log) == []
    rows = await _rows(database_url)
    told = "\n".join(answer.text for answer in answers)
    # The client gave its key as its request's id: the record holds what the client wrote there.
    assert _found(rows.replace(API_KEY, "")) == _found(told.replace(API_KEY, "")) == []


async def test_a_wrong_password_is_not_told(secret_environment: dict[str, str]) -> None:
    """A start that fails for it says so without the address."""
    url = secret_environment["DSPATCH_DATABASE__URL"].replace("canary_", "nobody_")
    environment = secret_environment | {"DSPATCH_DATABASE__URL": url}
    with pytest.raises(RuntimeError) as refused:
        async with serving(environment=environment):
            pass
    assert "The database does not answer" in str(refused.value)
    assert _found(str(refused.value)) == []
