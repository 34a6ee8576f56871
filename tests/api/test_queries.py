"""Query parameters: unknown ones and characters that no record can hold."""

import httpx
import pytest

UNKNOWN = "01a20bcf-7cd6-7e11-94d8-0a03c84e20df"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/signatures",
        f"/v1/signatures/{UNKNOWN}",
        "/v1/programs",
        f"/v1/programs/{UNKNOWN}",
        f"/v1/programs/{UNKNOWN}/revisions",
        "/v1/executions",
        f"/v1/executions/{UNKNOWN}",
        "/livez",
        "/readyz",
        "/startupz",
        "/problems/not-found",
    ],
)
async def test_a_parameter_that_is_not_known_is_422(client: httpx.AsyncClient, path: str) -> None:
    """Every route names what it does not know, all of them at once."""
    answer = await client.get(path, params={"Limit": 1, "a/b": 2})
    assert answer.status_code == 422
    assert [(fault["path"], fault["code"]) for fault in answer.json()["errors"]] == [
        ("/query/Limit", "unknown_parameter"),
        ("/query/a~1b", "unknown_parameter"),
    ]


async def test_a_parameter_that_is_not_known_is_422_on_a_post_too(
    client: httpx.AsyncClient,
) -> None:
    """It is told before the body is looked at."""
    answer = await client.post(f"/v1/programs/{UNKNOWN}/executions?wat=1", content=b"{")
    assert [fault["path"] for fault in answer.json()["errors"]] == ["/query/wat"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/signatures", "name"),
        ("/v1/programs", "name"),
        ("/v1/executions", "error_type"),
        ("/v1/executions", "include"),
    ],
)
async def test_nul_in_a_parameter_is_422(client: httpx.AsyncClient, path: str, name: str) -> None:
    """PostgreSQL could not take it; the place is named."""
    answer = await client.get(path, params={name: "a\x00b"})
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["errors"]] == [f"/query/{name}"]


async def test_a_parameter_that_is_given_twice_is_422(client: httpx.AsyncClient) -> None:
    """Nobody can tell which of the two was meant."""
    answer = await client.get("/v1/signatures?limit=1&limit=2")
    assert answer.status_code == 422
    assert [(fault["path"], fault["code"]) for fault in answer.json()["errors"]] == [
        ("/query/limit", "duplicate_parameter")
    ]


@pytest.mark.parametrize("value", ["%ED%A0%80", "%FF"])
async def test_a_query_that_is_no_utf8_is_400(client: httpx.AsyncClient, value: str) -> None:
    """It is refused as a body would be."""
    answer = await client.get(f"/v1/programs?name={value}")
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/malformed-query")


@pytest.mark.parametrize("value", ["%F0%9F%98%80", "'; DROP TABLE x", "%25"])
async def test_any_other_text_is_looked_for(client: httpx.AsyncClient, value: str) -> None:
    """It finds nothing."""
    answer = await client.get(f"/v1/programs?name={value}")
    assert (answer.status_code, answer.json()["items"]) == (200, [])


@pytest.mark.parametrize(
    "segment", ["x", "1", "%00", "..%2f..", "null", "%7B%7D", "é", "a" * 9_000]
)
async def test_an_id_that_is_none_is_422(client: httpx.AsyncClient, segment: str) -> None:
    """The place is the path's parameter."""
    answer = await client.get(f"/v1/executions/{segment}")
    assert answer.status_code in {404, 422}
    if answer.status_code == 422:
        assert [fault["path"] for fault in answer.json()["errors"]] == ["/path/execution_id"]
