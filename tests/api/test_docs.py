import re

import httpx


async def test_docs_load_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    """The page's every file comes from the server itself, by a relative address."""
    page = await client.get("/docs")
    assert page.status_code == 200
    links = re.findall(r"""(?:href|src)="([^"]+)""", page.text)
    assert len(links) == 3
    for link in links:
        assert not link.startswith(("http", "/"))
        assert (await client.get(f"/{link}")).status_code == 200


async def test_docs_show_our_document(client: httpx.AsyncClient) -> None:
    """Swagger UI reads the document that the server answers."""
    assert "url: 'openapi.json'" in (await client.get("/docs")).text


async def test_docs_hold_no_other_files(client: httpx.AsyncClient) -> None:
    """What is not one of the page's files is not found, as a problem."""
    answer = await client.get("/docs/assets/../main.py")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_docs_files_are_only_read(client: httpx.AsyncClient) -> None:
    """Another method is refused, and the answer says which ones are known."""
    answer = await client.post("/docs/assets/swagger-ui.css")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
