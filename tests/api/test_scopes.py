"""Who may call what: every operation of the OpenAPI document with every kind of key.

What is expected is reckoned from the contract's words alone, so that a route that was added is
tried because it is there, and fails where the contract has no word on it.
"""

import re
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple
from uuid import uuid4

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from app.actions.key_revocation import KeyRevocation
from app.api.contract_route import ContractRoute
from app.database import Database
from app.main import ROUTERS, create_app
from app.models.audit import CLI
from app.models.key_text import KeyText
from app.models.scopes import Scope
from app.settings import Settings
from tests.support.factories import a_key, bearing

READERS = {"read", "manage", "admin"}

# Of the contract's section 10, the first that fits holds.
WORDS: tuple[tuple[str, set[str]], ...] = (
    ("GET /(livez|readyz|startupz|problems/.+)", set()),
    ("POST /v1/adapters/[^/]+/reset", {"admin"}),
    ("POST /v1/adapters/[^/]+/check", {"execute", "admin"}),
    ("POST /v1/cleanup", READERS),
    ("POST /v1/signatures/(.+/)?(check|validate)", READERS),
    ("GET /v1/(programs|executions|batches)(/.+)?", READERS | {"execute"}),
    ("GET .+", READERS),
    ("POST /v1/(programs/[^/]+/)?(executions|batches)(/.+)?", {"execute", "admin"}),
    ("(POST|PUT|PATCH|DELETE) /v1/(signatures|programs)(/.+)?", {"manage", "admin"}),
)


class Operation(NamedTuple):
    """One method of one path, and the scopes that the contract asks for; none where it is open."""

    method: str
    path: str
    scopes: set[str]

    async def call(
        self, client: httpx.AsyncClient, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Call it for things that are not there."""
        path = re.sub(r"\{\w+\}", str(uuid4()), self.path)
        return await client.request(self.method, path, headers=headers)


def _scopes(method: str, path: str) -> set[str]:
    for words, scopes in WORDS:
        if re.fullmatch(words, f"{method} {path}"):
            return scopes
    raise AssertionError(f"the contract does not say who may {method} {path}")


DOCUMENT = create_app(Settings()).openapi()
OPERATIONS = [
    Operation(method.upper(), path, _scopes(method.upper(), path))
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
]
GUARDED = [operation for operation in OPERATIONS if operation.scopes]


async def _bad_headers(database: Database) -> Mapping[str, Mapping[str, str]]:
    """Give every way in which a caller can have no valid key."""
    live, revoked = await a_key(database), await a_key(database)
    await KeyRevocation(database)(revoked.key_id, CLI)
    expired = await a_key(database, expires_in=timedelta(seconds=-1))
    return {
        "none": {},
        "empty": {"Authorization": ""},
        "another scheme": {"Authorization": f"Basic {live.text}"},
        "no scheme": {"Authorization": live.text},
        "no text": {"Authorization": "Bearer"},
        "mistyped": {"Authorization": f"Bearer {live.text[:-1]}-"},
        "doubled": {"Authorization": f"Bearer {live.text} {live.text}"},
        "unknown": bearing(KeyText.new(secrets.choice)),
        "another's secret": bearing(KeyText(live.key_id, KeyText.new(secrets.choice).secret)),
        "revoked": bearing(revoked),
        "expired": bearing(expired),
    }


async def test_without_a_valid_key_all_get_the_same_answer(
    keyed_client: httpx.AsyncClient, database: Database
) -> None:
    """401, word for word the same but for the request's id, whatever is wrong with the key."""
    bodies = set()
    for headers in (await _bad_headers(database)).values():
        for operation in GUARDED:
            answer = await operation.call(keyed_client, headers)
            assert answer.status_code == 401, (operation, headers)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            request_id = answer.headers["X-Request-ID"]
            bodies.add(answer.text.replace(request_id, "REQUEST_ID"))
    assert len(bodies) == 1
    assert '"type":"/problems/unauthorized"' in bodies.pop()


@pytest.mark.parametrize("scope", Scope)
async def test_a_key_may_call_what_its_scope_allows(
    scope: Scope, keyed_client: httpx.AsyncClient, database: Database
) -> None:
    """403 for all else, in the form of a problem that names the scopes."""
    headers = bearing(await a_key(database, scope))
    for operation in OPERATIONS:
        answer = await operation.call(keyed_client, headers)
        assert answer.status_code != 401
        may_call = not operation.scopes or scope in operation.scopes
        assert (answer.status_code != 403) is may_call, operation
        if not may_call:
            assert answer.json()["type"] == "/problems/forbidden"
            assert set(re.findall(r"\w+", answer.json()["detail"])) >= operation.scopes


async def test_scopes_add_up(keyed_client: httpx.AsyncClient, database: Database) -> None:
    """A key with two scopes may call what either allows."""
    headers = bearing(await a_key(database, Scope.READ, Scope.EXECUTE))
    for operation in OPERATIONS:
        answer = await operation.call(keyed_client, headers)
        is_refused = operation.scopes.isdisjoint({"read", "execute"}) and operation.scopes
        assert (answer.status_code == 403) is bool(is_refused), operation


async def test_probes_and_pages_are_open(keyed_client: httpx.AsyncClient) -> None:
    """They answer without a key, and do not look at one."""
    pages = ["/openapi.json", "/docs", "/docs/assets/swagger-ui.css", "/problems/forbidden"]
    for path in ("/livez", "/readyz", "/startupz", *pages):
        for headers in ({}, {"Authorization": "Bearer wat"}):
            assert (await keyed_client.get(path, headers=headers)).status_code == 200, path


async def test_without_keys_everything_is_open(client: httpx.AsyncClient) -> None:
    """Where authentication is off nobody is refused, whatever is sent."""
    for headers in ({}, {"Authorization": "Bearer wat"}):
        for operation in OPERATIONS:
            answer = await operation.call(client, headers)
            assert answer.status_code not in {401, 403}, operation


def test_the_document_says_who_may_call() -> None:
    """Each operation names its scopes, and describes both refusals; open ones say that they are."""
    for operation in OPERATIONS:
        described = DOCUMENT["paths"][operation.path][operation.method.lower()]
        assert described["security"] == ([{"key": []}] if operation.scopes else [])
        has_refusals = {"401", "403"} <= described["responses"].keys()
        assert has_refusals is bool(operation.scopes)
        found = re.search(r"one of these scopes: (.+)\.$", described.get("description", ""))
        named = set(found[1].split(", ")) if found else set()
        assert named == operation.scopes, operation


def test_no_route_goes_unasked() -> None:
    """Whatever stands in a router has said what it needs; the rest are pages."""
    guarded = [route for router in ROUTERS for route in router.routes]
    assert all(isinstance(route, ContractRoute) for route in guarded)
    every = {route.path for route in iter_route_contexts(create_app(Settings()).routes)}
    pages = every - {route.path for route in guarded if isinstance(route, ContractRoute)}
    assert pages == {"/openapi.json", "/docs", "/docs/assets/{name}"}
