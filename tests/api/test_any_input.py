"""No input whatever makes the server fail."""

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.factories import post_program

MANY = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXT = st.text(st.characters(), max_size=20)
NAMES = st.one_of(
    st.sampled_from(
        [
            "inputs",
            "question",
            "execution_options",
            "timeout",
            "max_retries",
            "config",
            "metadata",
            "name",
            "notation",
            "outputs",
            "type",
            "constraints",
            "default",
            "signature_id",
            "module",
            "adapter",
            "retention",
            "completed_days",
            "initialize",
            "description",
            "state",
            "demos",
            "signature",
            "instructions",
            "fields",
            "prefix",
            "lm",
        ]
    ),
    TEXT,
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=6)),
    max_leaves=20,
)
TYPES = st.sampled_from(
    ["string", "integer", "float", "any", "map", "list[string]", "optional[float]", "wat", "list["]
)
FIELDS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["question", "a", "b", "class", ""]), "type": TYPES},
        optional={
            "constraints": st.dictionaries(
                st.sampled_from(["min", "max", "pattern", "min_length", "one_of"]),
                VALUES,
                max_size=2,
            ),
            "default": VALUES,
            "description": TEXT,
        },
    ),
    max_size=3,
)
SIGNATURES = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b", ""]), "inputs": FIELDS, "outputs": FIELDS}
)
PROGRAMS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["p", "q", "r"]),
        "module": st.sampled_from(["predict", "Predict"]),
        "adapter": st.sampled_from(["mock", "nobody"]),
        "config": st.one_of(
            st.fixed_dictionaries({"mock": VALUES}), st.dictionaries(NAMES, VALUES, max_size=3)
        ),
        "metadata": VALUES,
    }
)
STATES = st.fixed_dictionaries(
    {
        "signature": st.fixed_dictionaries(
            {
                "instructions": TEXT,
                "fields": st.lists(
                    st.fixed_dictionaries({"prefix": TEXT, "description": TEXT}),
                    min_size=2,
                    max_size=3,
                ),
            }
        ),
        "demos": st.lists(
            st.dictionaries(st.sampled_from(["question", "answer", "wat"]), VALUES, max_size=2),
            max_size=2,
        ),
    }
)
RUNS = st.fixed_dictionaries(
    {"inputs": st.dictionaries(NAMES, VALUES, max_size=3)},
    optional={
        "metadata": st.dictionaries(TEXT, VALUES, max_size=3),
        "execution_options": st.dictionaries(NAMES, VALUES, max_size=3),
    },
)


@pytest.fixture
async def program(client: httpx.AsyncClient) -> dict[str, Any]:
    """A program that takes anything."""
    notation = "question: any, a: any = null -> answer: string"
    return await post_program(client, notation=notation)


def _paths(program: dict[str, Any]) -> list[str]:
    """List every address that takes a POST."""
    one = f"/v1/programs/{program['program_id']}"
    check = f"/v1/signatures/{program['signature_id']}/check"
    return ["/v1/signatures", "/v1/programs", check, f"{one}/executions", f"{one}/initialize"]


def _dumped(value: Any) -> str:
    """Write JSON as a careless client does: NaN, half characters and all."""
    return json.dumps(value)


async def _refused_or_done(
    client: httpx.AsyncClient, path: str, content: bytes | str, method: str = "POST"
) -> None:
    answer = await client.request(method, path, content=content)
    assert answer.status_code < 500, (path, content, answer.text)
    answer.json()


@MANY
@given(content=st.binary(max_size=200))
async def test_any_bytes_are_refused_or_done(
    client: httpx.AsyncClient, program: dict[str, Any], content: bytes
) -> None:
    """On every route that takes a body."""
    for path in _paths(program):
        await _refused_or_done(client, path, content)


@MANY
@given(value=VALUES)
async def test_any_json_is_refused_or_done(
    client: httpx.AsyncClient, program: dict[str, Any], value: Any
) -> None:
    """On every route that takes a body."""
    for path in _paths(program):
        await _refused_or_done(client, path, _dumped(value))


@MANY
@given(signature=SIGNATURES)
async def test_any_signature_is_refused_or_done(client: httpx.AsyncClient, signature: Any) -> None:
    """Whatever stands in its fields."""
    await _refused_or_done(client, "/v1/signatures", _dumped(signature))


@MANY
@given(notation=st.text("abc: ,->=[]|\"'0.é\\n{}", max_size=40))
async def test_any_notation_is_refused_or_done(client: httpx.AsyncClient, notation: str) -> None:
    """Whatever it looks like."""
    body = _dumped({"name": "a", "notation": notation})
    await _refused_or_done(client, "/v1/signatures", body)


@MANY
@given(members=PROGRAMS)
async def test_any_program_is_refused_or_done(
    client: httpx.AsyncClient, program: dict[str, Any], members: Any
) -> None:
    """Whatever its configuration says; what was taken can be read."""
    body = _dumped({"signature_id": program["signature_id"], **members})
    await _refused_or_done(client, "/v1/programs", body)
    assert (await client.get("/v1/programs")).status_code == 200


@MANY
@given(change=st.one_of(VALUES, st.dictionaries(NAMES, VALUES, max_size=4)))
async def test_any_change_is_refused_or_done(
    client: httpx.AsyncClient, program: dict[str, Any], change: Any
) -> None:
    """What was taken can be read."""
    path = f"/v1/programs/{program['program_id']}"
    await _refused_or_done(client, path, _dumped(change), "PATCH")
    assert (await client.get(path)).status_code == 200


@MANY
@given(state=st.one_of(VALUES, STATES))
async def test_any_state_is_refused_or_done(client: httpx.AsyncClient, state: Any) -> None:
    """What was taken comes back."""
    if not (found := (await client.get("/v1/programs")).json()["items"]):
        found = [await post_program(client)]
    path = f"/v1/programs/{found[0]['program_id']}/state"
    answer = await client.put(path, content=_dumped(state))
    assert answer.status_code < 500, (state, answer.text)
    if answer.status_code == 200:
        kept = (await client.get(path)).json()
        assert {name: kept[name] for name in state} == state


@MANY
@given(run=RUNS)
async def test_any_run_is_refused_or_done(
    client: httpx.AsyncClient, program: dict[str, Any], run: Any
) -> None:
    """What is taken comes back as it was; the list of runs can be read."""
    path = f"/v1/programs/{program['program_id']}/executions"
    answer = await client.post(path, content=_dumped(run))
    assert answer.status_code < 500, answer.text
    if answer.status_code == 200:
        assert answer.json()["inputs"] == {"a": None, **run["inputs"]}
        assert answer.json()["metadata"] == run.get("metadata", {})
    include = {"include": "inputs,outputs,attempts"}
    assert (await client.get("/v1/executions", params=include)).status_code == 200


@MANY
@given(
    path=st.sampled_from(["/v1/signatures", "/v1/programs", "/v1/executions", "/readyz"]),
    query=st.one_of(
        st.binary(max_size=40),
        st.builds(
            lambda name, value: name + b"=" + value,
            st.sampled_from(
                [b"limit", b"cursor", b"name", b"status", b"include", b"created_after"]
            ),
            st.binary(max_size=30),
        ),
    ),
)
async def test_any_query_is_refused_or_done(
    client: httpx.AsyncClient, path: str, query: bytes
) -> None:
    """On every list."""
    answer = await client.get(f"{path}?{quote(query, safe='=&')}")
    assert answer.status_code < 500, (query, answer.text)


@MANY
@given(
    headers=st.dictionaries(
        st.sampled_from([b"content-type", b"content-length", b"host", b"x-request-id", b"accept"]),
        st.binary(max_size=30),
        max_size=4,
    ),
    path=st.sampled_from(["/v1/signatures", "/v1/signatures/", "/wat"]),
)
async def test_any_headers_are_refused_or_done(
    client: httpx.AsyncClient, headers: dict[bytes, bytes], path: str
) -> None:
    """Lengths, media types and hosts that are none."""
    answer = await client.post(path, content=b"{}", headers=headers)
    assert answer.status_code < 500, (headers, answer.text)
