"""The operator's secrets, and callers' keys, are told nowhere, whatever goes wrong."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import asyncpg
import httpx
import pytest

from app.local.postgres import LocalPostgres
from tests.support.collector import Collector
from tests.support.factories import NOTATION, QUESTION
from tests.support.model_server import Answer, ModelServer, completion, html, reset, status
from tests.support.receiver import Receiver, a_receiver
from tests.support.server import ServerProcess, serving
from tests.support.wait import wait_until

PASSWORD = "canary/dsn word"  # noqa: S105 - a canary
LM_KEY = "canary-lm-key-0001"
ENV_KEY = "canary-lm-key-of-a-variable"
API_KEY = "dsp_Ab12cd34_Y2FuYXJ5LW9mLWEtY2xpZW50"
BEARER = "canary-bearer-of-a-client"
SIGNING = "canary of the webhooks' key"
WEBHOOK_SECRET = base64.b64encode(SIGNING.encode()).decode()
COLLECTORS = "canary-of-the-collector"
KEYS = {"main": LM_KEY, "env": ENV_KEY}
RUNS = 6
READ = (
    "/v1/executions?include=inputs,outputs,raw_output,attempts",
    "/v1/programs",
    "/v1/batches",
    "/v1/adapters",
    "/v1/lms",
    "/v1/health?check_level=deep&include_metrics=true",
    "/openapi.json",
    "/metrics",
    "/readyz",
    "/startupz",
)
CANARIES = (
    *(PASSWORD, quote(PASSWORD, safe=""), LM_KEY, ENV_KEY, API_KEY, BEARER),
    *(SIGNING, WEBHOOK_SECRET, COLLECTORS),
)


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
        "DSPATCH_WEBHOOK_SECRET": f"whsec_{WEBHOOK_SECRET}",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={COLLECTORS}",
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


async def _run_everything(
    client: httpx.AsyncClient, model: ModelServer, receiver: Receiver
) -> list[httpx.Response]:
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
        answers += [await client.get(path), await client.post(f"{path}/executions", json={})]
        model.script(*_talkative(key))
        answers += await _run_behind(client, path, receiver)
    dry = {"dry_run": True}
    answers.append(await client.post("/v1/cleanup", json=dry))
    answers.append(await client.get(f"/v1/{API_KEY}", params={"api_key": API_KEY}))
    return answers + [await client.get(path) for path in READ]


async def _run_behind(
    client: httpx.AsyncClient, path: str, receiver: Receiver
) -> list[httpx.Response]:
    """Execute in the background, and by a batch that calls back; give what is told of them."""
    later = {"Prefer": "respond-async"}
    run = {"inputs": QUESTION, "execution_options": {"max_retries": 0}}
    accepted = await client.post(f"{path}/executions", json=run, headers=later)
    record = await client.get(accepted.headers["location"], params={"wait_ms": 20_000})
    options = {"progress_callback": receiver.url, "retry_failed": False, "max_concurrency": 1}
    asked = {"batch_inputs": [QUESTION] * RUNS, "batch_options": options}
    batch = await client.post(f"{path}/batches", json=asked)
    of_batch = batch.headers["location"]
    ended = await client.get(of_batch, params={"wait_ms": 20_000})
    await wait_until(lambda: any(ended.json()["batch_id"] in one for one in _ends(receiver)), 60)
    of_it = [await client.get(f"{of_batch}/{of}") for of in ("results", "deliveries", "events")]
    return [accepted, record, batch, ended, *of_it]


def _ends(receiver: Receiver) -> list[str]:
    told = [one.body.decode() for one in receiver.requests]
    return [body for body in told if json.loads(body)["type"] == "batch.completed"]


async def _rows(url: str) -> str:
    """Everything that the database holds, as text."""
    connection = await asyncpg.connect(url)
    found = await connection.fetch(
        "SELECT quote_ident(relname) FROM pg_class WHERE relkind IN ('r', 'p') "
        "AND relnamespace = current_schema()::regnamespace"
    )
    tables = [row[0] for row in found]
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
    """Neither by logs at the finest level, nor by records, problems, figures or the document.

    Nor by spans, deliveries, or what a deep look at its health finds.
    """
    async with ModelServer() as model, Collector() as collector, a_receiver() as receiver:
        model.always(completion('{"answer": "Paris"}'))
        config = _config(tmp_path / "dspatch.toml", model.base_url)
        environment = secret_environment | {
            "DSPATCH_WEBHOOKS__ALLOWED_HOSTS": json.dumps([receiver.host]),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.address,
        }
        async with serving("--config", str(config), environment=environment) as server:
            headers = {"Authorization": f"Bearer {API_KEY}", "X-Request-ID": API_KEY}
            async with httpx.AsyncClient(
                base_url=server.base_url, headers=headers, timeout=30
            ) as client:
                answers = await _run_everything(client, model, receiver)
                headers["Authorization"] = f"Bearer {BEARER}"
                await client.get("/v1/programs", headers=headers)
            log = await _until_told(server)
    statuses = [answer.status_code for answer in answers]
    assert {200, 201, 202, 404, 422, 502, 503} <= set(statuses)
    used = {call.headers["authorization"] for call in model.completions}
    assert used == {f"Bearer {key}" for key in KEYS.values()}
    assert len(model.completions) >= len(KEYS) * 2 * RUNS
    assert "chat small" in " ".join(collector.spans)
    assert collector.figures
    assert _found(b"".join(collector.bodies).decode("latin-1")) == []
    assert _found("".join(one.body.decode() for one in receiver.requests)) == []
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
