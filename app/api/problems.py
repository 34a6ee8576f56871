"""Errors as RFC 9457 problem documents, and the pages that explain their types."""

import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from app.api.bodies import MOST_FAULTS, escaped
from app.api.responses import JSONResponse, LastResponse
from app.errors import (
    DspatchError,
    Fault,
    ForbiddenError,
    InvalidRequestError,
    MalformedBodyError,
    NotFoundError,
    RequestError,
    UnauthorizedError,
)

MEDIA_TYPE = "application/problem+json"
_ROOTS = {"body": "", "header": "/headers"}
_FAULT_CODES = {"extra_forbidden": "unknown_field"}


class MethodNotAllowedError(RequestError):
    """This address does not know the method; `Allow` lists those that it knows."""

    status = 405
    title = "The method is not allowed"


class InternalError(DspatchError):
    """A fault of Dspatch itself; the log has its trace under the request's id."""

    title = "Something went wrong"


_HTTP_KINDS: Mapping[int, type[DspatchError]] = {404: NotFoundError, 405: MethodNotAllowedError}
"""What the framework refuses by itself; anything else is a request that it cannot read."""


class ProblemFault(BaseModel):
    """One thing wrong with the request."""

    path: str = Field(description="JSON Pointer into the request.", examples=["/inputs/question"])
    code: str = Field(examples=["missing"])
    message: str
    expected: str | None = None
    received: str | None = None


class Problem(BaseModel):
    """An error, as RFC 9457 writes it."""

    type: str = Field(examples=["/problems/invalid-inputs"])
    title: str
    status: int
    detail: str
    instance: str = Field(description="The request's id.")
    errors: list[ProblemFault] | None = Field(
        default=None, description=f"The faults; the first {MOST_FAULTS} where there are more."
    )
    error_count: int | None = Field(default=None, description="Where not all faults are told.")
    program_status: str | None = Field(default=None, description="Where a program cannot run.")
    program_error: str | None = Field(default=None, description="The program's own error.")
    execution_id: str | None = Field(default=None, description="Where an execution was recorded.")
    error: dict[str, Any] | None = Field(default=None, description="The execution's error.")


def problem_responses(*errors: type[DspatchError]) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that a route can answer, for OpenAPI."""
    by_status: dict[int | str, list[type[DspatchError]]] = {}
    for error in errors:
        by_status.setdefault(error.status, []).append(error)
    return {
        status: {
            "description": "; ".join(f"{kind.title} (`{kind.slug()}`)" for kind in kinds),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, kinds in by_status.items()
    }


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of the app a problem document."""
    app.add_exception_handler(DspatchError, _on_dspatch_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_bug)


def problem_kinds() -> dict[str, type[DspatchError]]:
    """Give every type of problem by its slug; those without a title of their own only group."""
    kinds = [kind for kind in _descendants(DspatchError) if "title" in vars(kind)]
    return {kind.slug(): kind for kind in kinds}


def _descendants(kind: type[DspatchError]) -> Iterator[type[DspatchError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _descendants(child)


async def _on_dspatch_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DspatchError)  # noqa: S101 - the handler is registered for it alone
    return problem_response(request, error)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    faults = [_fault(found) for found in error.errors()]
    return problem_response(
        request, InvalidRequestError("The request does not fit the contract.", faults=faults)
    )


def _fault(found: dict[str, Any]) -> Fault:
    place, *steps = found["loc"]
    root = _ROOTS.get(place, f"/{place}")
    path = root + "".join(f"/{escaped(str(step))}" for step in steps)
    code = _FAULT_CODES.get(found["type"], found["type"])
    return Fault(path, code, found["msg"])


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    kind = _HTTP_KINDS.get(error.status_code, MalformedBodyError)
    response = problem_response(request, kind(f"{error.detail}: {request.scope['path']}"))
    if kind is MethodNotAllowedError:
        response.headers["Allow"] = ", ".join(sorted(_methods(request)))
    return response


def _methods(request: Request) -> Iterator[str]:
    """List the methods of every route with this path; the framework names those of one alone."""
    for route in iter_route_contexts(request.app.routes):
        match, _ = route.original_route.matches(request.scope)
        if match is not Match.NONE:
            yield from route.methods or ()


async def _on_bug(request: Request, _error: Exception) -> Response:
    """Say nothing of the bug to the client; the server logs it, once, with its trace."""
    detail = "Dspatch failed; the log has the trace under this request's id."
    response = problem_response(request, InternalError(detail))
    response.headers["X-Request-ID"] = request.scope["state"]["request_id"]  # no middleware will
    return response


def problem_response(request: Request, error: DspatchError) -> Response:
    """Write an error as its problem document."""
    document: dict[str, Any] = {
        "type": f"/problems/{error.slug()}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": request.scope["state"]["request_id"],
        **error.members,
    }
    if error.faults:
        document["errors"] = [fault.as_document() for fault in error.faults[:MOST_FAULTS]]
    if len(error.faults) > MOST_FAULTS:
        document["error_count"] = len(error.faults)
    refuses_the_caller = isinstance(error, UnauthorizedError | ForbiddenError)
    response_class = LastResponse if refuses_the_caller else JSONResponse
    return response_class(document, error.status, _headers(error), media_type=MEDIA_TYPE)


def _headers(error: DspatchError) -> dict[str, str]:
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def problem_page(slug: str) -> str:
    """Explain a type of problem; NotFoundError where there is no such type."""
    kind = problem_kinds().get(slug)
    if kind is None:
        raise NotFoundError("There is no such type of problem.")
    return f"# {kind.title}\n\nHTTP {kind.status}. {inspect.getdoc(kind)}\n"
