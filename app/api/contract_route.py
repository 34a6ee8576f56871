"""The route class that holds every request to the contract before FastAPI parses it."""

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from itertools import islice
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import Request, Response, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope
from typing_extensions import override

from app.api.auth import SECURITY_SCHEME, authorize, need_of
from app.api.bodies import MOST_FAULTS, escaped, read_json
from app.errors import Fault, InvalidRequestError, MalformedQueryError

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class _ReadRequest(Request):
    """A request whose body has been read and parsed already."""

    def __init__(self, request: Request, body: bytes, value: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._body = body
        self._value = value

    @override
    async def json(self) -> Any:
        return self._value


_NO_IDS = frozenset({"validate"})
"""What stands where ids stand in other paths: it is of its own route alone, whatever the method."""


class ContractRoute(APIRoute):
    """Refuses callers who may not, unknown query parameters, and bodies that are not strict JSON.

    In this order: nothing of a body is read for somebody who may not call.
    """

    more_parameters: frozenset[str] = frozenset()
    """Query parameters that the endpoint reads by itself."""

    @override
    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.need = need_of(endpoint)
        super().__init__(path, endpoint, **options)
        security: list[dict[str, list[str]]] = [{SECURITY_SCHEME: []}] if self.need.scopes else []
        self.openapi_extra = {**(self.openapi_extra or {}), "security": security}
        if self.need.scopes:
            asked = f"Needs a key with one of these scopes: {self.need.words}."
            self.description = f"{self.description}\n\n{asked}".strip()

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, found = super().matches(scope)
        is_taken = any(
            name.endswith("_id") and value in _NO_IDS
            for name, value in found.get("path_params", {}).items()
        )
        return (Match.NONE, {}) if is_taken else (match, found)

    @override
    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        known = {
            parameter.alias
            for parameter in get_flat_params(self.dependant)
            if isinstance(parameter.field_info, params.Query)
        } | self.more_parameters

        async def handle_strictly(request: Request) -> Response:
            await authorize(request, self.need)
            if request.scope["query_string"]:
                _check_query(request, known)
            if self.body_field is None:
                return await handle(request)
            limits = request.app.state.settings.limits
            return await handle(_ReadRequest(request, *await read_json(request, limits)))

        return handle_strictly


def _check_query(request: Request, known: set[str]) -> None:
    """Refuse parameters that the route does not know, and values that no record can hold."""
    _require_utf8(request.scope["query_string"])
    faults = list(islice(_query_faults(request, known), MOST_FAULTS))
    if faults:
        raise InvalidRequestError("The query cannot be taken.", faults=faults)


def _require_utf8(query: bytes) -> None:
    try:
        unquote_to_bytes(query).decode()
    except UnicodeDecodeError:
        raise MalformedQueryError("The query is not UTF-8.") from None


def _query_faults(request: Request, known: set[str]) -> Iterator[Fault]:
    times = Counter(name for name, _ in request.query_params.multi_items())
    for name, count in times.items():
        path = f"/query/{escaped(name)}"
        if name not in known:
            yield Fault(path, "unknown_parameter", "there is no such parameter")
        elif count > 1:
            yield Fault(path, "duplicate_parameter", f"{name} is given {count} times")
        elif "\x00" in request.query_params[name]:
            yield Fault(path, "character", "NUL stands in no value")
