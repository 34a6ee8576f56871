"""Lists in pages."""

import httpx
import pytest

from tests.support.factories import post_execution, post_program, post_signature

LISTS = ("/v1/signatures", "/v1/programs", "/v1/executions")
KEYS = dict(zip(LISTS, ("signature_id", "program_id", "execution_id"), strict=True))


async def _fill(client: httpx.AsyncClient, many: int) -> None:
    for n in range(many):
        await post_signature(client, name=f"signature_{n}")
        program = await post_program(client, name=f"program_{n}", notation=f"question -> a{n}")
        await post_execution(client, program)


@pytest.mark.parametrize("path", LISTS)
async def test_pages_neither_skip_nor_repeat_while_rows_arrive(
    client: httpx.AsyncClient, path: str
) -> None:
    """What was there at the first page is seen once, whatever comes meanwhile."""
    await _fill(client, 3)
    before = [item[KEYS[path]] for item in (await client.get(path)).json()["items"]]
    assert before == sorted(before, reverse=True)
    seen: list[str] = []
    params = {"limit": "2"}
    while True:
        page = (await client.get(path, params=params)).json()
        assert len(page["items"]) <= 2
        seen += [item[KEYS[path]] for item in page["items"]]
        await post_signature(client, name=f"late_{len(seen)}")
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert seen == before


@pytest.mark.parametrize("path", LISTS)
async def test_a_page_that_holds_all_is_the_last(client: httpx.AsyncClient, path: str) -> None:
    """`next_cursor` is null where nothing follows, an empty list included."""
    assert (await client.get(path)).json() == {"items": [], "next_cursor": None}
    await _fill(client, 1)
    many = len((await client.get(path)).json()["items"])
    page = (await client.get(path, params={"limit": many})).json()
    assert page["next_cursor"] is None


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "-1"),
        ("limit", "true"),
        ("limit", "1e1"),
        ("limit", ""),
        ("limit", "9" * 5_000),
        ("cursor", "x"),
        ("cursor", ""),
        ("cursor", "a" * 65),
        ("cursor", "é"),
        ("cursor", "a\x00"),
    ],
)
async def test_a_page_that_cannot_be_is_422(
    client: httpx.AsyncClient, path: str, name: str, value: str
) -> None:
    """The fault names the parameter."""
    answer = await client.get(path, params={name: value})
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["errors"]] == [f"/query/{name}"]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("limit", ["1", "200"])
async def test_the_limits_of_the_limit_are_taken(
    client: httpx.AsyncClient, path: str, limit: str
) -> None:
    """One row and two hundred are pages."""
    assert (await client.get(path, params={"limit": limit})).status_code == 200
