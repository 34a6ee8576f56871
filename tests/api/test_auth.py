"""How a route asks who calls: before the body, and where need be after it."""

from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.types import Message

from app.api.auth import MANAGE, METRICS, READ, needs
from app.api.contract_route import ContractRoute
from app.api.deps import CallerDep
from app.api.problems import install_problem_handlers
from app.api.request_id import RequestIdMiddleware
from app.api.views import RequestBody
from app.database import Database
from app.models.key_text import KeyText
from app.models.scopes import Scope
from app.runtime import Runtime
from app.settings import AuthSettings
from tests.support.factories import a_key, bearing


class Lookup(RequestBody):
    """A body by which it is decided who may send it."""

    module: str | None = None


async def _who(caller: CallerDep) -> dict[str, Any]:
    return {"key_id": caller.key_id, "scopes": sorted(caller.scopes)}


async def _look(body: Lookup, caller: CallerDep) -> None:
    if body.module is not None:
        MANAGE.require(caller)


async def _metrics() -> str:
    return "figures"


def _routes(runtime: Runtime, auth: AuthSettings) -> httpx.AsyncClient:
    """Serve three routes of the test's own."""
    router = APIRouter(route_class=ContractRoute)
    router.get("/who")(needs(READ)(_who))
    router.post("/look")(needs(READ)(_look))
    router.get("/metrics")(needs(METRICS)(_metrics))
    app = FastAPI()
    app.state.settings = runtime.settings.model_copy(update={"auth": auth})
    app.state.runtime = runtime
    app.include_router(router)
    install_problem_handlers(app)
    app.add_middleware(RequestIdMiddleware)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://dspatch")


def test_a_route_that_does_not_say_who_may_call_is_refused() -> None:
    """It fails where it is written down, and names what is missing."""
    router = APIRouter(route_class=ContractRoute)
    with pytest.raises(TypeError, match=r"unguarded does not say who may call it: add @needs"):

        @router.get("/unguarded")
        async def unguarded() -> None: ...


@pytest.mark.parametrize("scope", [None, Scope.READ])
async def test_who_may_not_call_is_answered_before_the_body(
    scope: Scope | None, keyed_app: FastAPI, database: Database
) -> None:
    """Neither without a key nor without the scope; what still comes is thrown away."""
    key = None if scope is None else await a_key(database, scope)
    status, events = await _post_a_signature(keyed_app, key)
    assert status == (401 if scope is None else 403)
    assert events == ["answered", "read", "read", "ended"]


async def test_a_body_is_read_for_somebody_who_may_call(
    keyed_app: FastAPI, database: Database
) -> None:
    """Then the answer comes after it."""
    status, events = await _post_a_signature(keyed_app, await a_key(database))
    assert status == 422
    assert events == ["read", "read", "answered", "ended"]


async def _post_a_signature(app: FastAPI, key: KeyText | None) -> tuple[int, list[str]]:
    """Send `{}` in two parts; give the status, and what happened in which order."""
    status, events = 0, []
    parts = [{"body": b"{", "more_body": True}, {"body": b"}", "more_body": False}]
    authorization = bearing(key) if key else {}
    headers = {"content-type": "application/json", **authorization}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/signatures",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> Message:
        events.append("read")
        return {"type": "http.request", **parts.pop(0)}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        if message.get("body"):
            events.append("answered")
        if not message.get("more_body", "status" in message):
            events.append("ended")

    await app(scope, receive, send)
    return status, events


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
async def test_the_scheme_is_read_as_http_has_it(
    scheme: str, keyed_client: httpx.AsyncClient, database: Database
) -> None:
    """In capitals or not, and with more than one space after it."""
    key = await a_key(database)
    headers = {"Authorization": f"{scheme} {key.text}"}
    assert (await keyed_client.get("/v1/programs", headers=headers)).status_code == 200


async def test_who_may_not_call_hears_nothing_of_the_request(
    keyed_client: httpx.AsyncClient,
) -> None:
    """Faults of the query, the path and the media type are told to callers alone."""
    assert (await keyed_client.get("/v1/programs?wat=1")).status_code == 401
    assert (await keyed_client.get("/v1/programs/wat")).status_code == 401
    posted = await keyed_client.post("/v1/signatures", content=b"{", headers={"Content-Type": "x"})
    assert posted.status_code == 401


async def test_what_is_not_there_needs_no_key(keyed_client: httpx.AsyncClient) -> None:
    """An unknown path is 404 and an unknown method 405, to everybody."""
    assert (await keyed_client.get("/v1/nothing")).status_code == 404
    answer = await keyed_client.delete("/v1/programs")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")


async def test_a_route_knows_who_calls(runtime: Runtime) -> None:
    """The id of the key and its scopes; anybody has no id and may do everything."""
    key = await a_key(runtime.database, Scope.READ, Scope.EXECUTE)
    async with _routes(runtime, AuthSettings()) as client:
        answer = await client.get("/who", headers=bearing(key))
        assert answer.json() == {"key_id": key.key_id, "scopes": ["execute", "read"]}
    async with _routes(runtime, AuthSettings(mode="none")) as client:
        answer = await client.get("/who", headers=bearing(key))
        assert answer.json() == {"key_id": None, "scopes": sorted(Scope)}


async def test_a_body_may_need_more_than_its_route(runtime: Runtime) -> None:
    """A route asks again once it knows what is wanted."""
    reader, manager = [await a_key(runtime.database, one) for one in (Scope.READ, Scope.MANAGE)]
    async with _routes(runtime, AuthSettings()) as client:
        for key, body, status in (
            (reader, {}, 200),
            (reader, {"module": "a"}, 403),
            (manager, {"module": "a"}, 200),
        ):
            answer = await client.post("/look", json=body, headers=bearing(key))
            assert answer.status_code == status, body
    async with _routes(runtime, AuthSettings(mode="none")) as client:
        assert (await client.post("/look", json={"module": "a"})).status_code == 200


async def test_the_figures_are_open_where_the_operator_says_so(runtime: Runtime) -> None:
    """`[auth] metrics_open` opens them and nothing else."""
    async with _routes(runtime, AuthSettings()) as client:
        assert (await client.get("/metrics")).status_code == 401
        key = await a_key(runtime.database, Scope.READ)
        assert (await client.get("/metrics", headers=bearing(key))).status_code == 200
    async with _routes(runtime, AuthSettings(metrics_open=True)) as client:
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/who")).status_code == 401
