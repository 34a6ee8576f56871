"""The route class that holds every request to the contract before FastAPI parses it."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from typing_extensions import override

from app.api.bodies import MOST_FAULTS, escaped, read_json
from app.errors import Fault, InvalidRequestError

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


class ContractRoute(APIRoute):
    """Refuses unknown query parameters, and bodies that are not strict JSON within the limits."""

    @override
    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        known = {
            parameter.alias
            for parameter in get_flat_params(self.dependant)
            if isinstance(parameter.field_info, params.Query)
        }

        async def handle_strictly(request: Request) -> Response:
            _check_query(request, known)
            if self.body_field is None:
                return await handle(request)
            limits = request.app.state.settings.limits
            return await handle(_ReadRequest(request, *await read_json(request, limits)))

        return handle_strictly


def _check_query(request: Request, known: set[str]) -> None:
    """Refuse parameters that the route does not know, and characters that no record can hold."""
    faults = [
        Fault(f"/query/{escaped(name)}", "unknown_parameter", "there is no such parameter")
        if name not in known
        else Fault(f"/query/{name}", "character", "NUL stands in no value")
        for name, value in request.query_params.multi_items()
        if name not in known or "\x00" in value
    ]
    if faults:
        raise InvalidRequestError("The query cannot be taken.", faults=faults[:MOST_FAULTS])
