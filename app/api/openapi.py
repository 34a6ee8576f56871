"""The OpenAPI document: what FastAPI derives, with every error described as a problem."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from app.api.auth import SECURITY_SCHEMES
from app.api.problems import MEDIA_TYPE, Problem, problem_responses
from app.errors import (
    DatabaseUnavailableError,
    ForbiddenError,
    InvalidRequestError,
    MalformedBodyError,
    MalformedQueryError,
    PayloadTooLargeError,
    ServerBusyError,
    ShuttingDownError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
)

_OF_BODIES = (MalformedBodyError, PayloadTooLargeError, UnsupportedMediaTypeError)
_REF = "#/components/schemas/{model}"


def install_openapi(app: FastAPI) -> None:
    """Make the app answer the document of `describe`, built once."""

    def openapi() -> dict[str, Any]:
        app.openapi_schema = app.openapi_schema or describe(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def describe(app: FastAPI) -> dict[str, Any]:
    """Build the document out of the app's routes."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        description=app.description,
        tags=app.openapi_tags,
        servers=app.servers,
        routes=app.routes,
    )
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _, problem = models_json_schema([(Problem, "serialization")], ref_template=_REF)
    schemas.update(problem["$defs"])
    for operations in document["paths"].values():
        for operation in operations.values():
            _describe_problems(operation)
    return document


def _describe_problems(operation: dict[str, Any]) -> None:
    """Put the problems that every call of its kind can answer beside the route's own."""
    responses = operation["responses"]
    _drop_default_validation(responses)
    of_body = _OF_BODIES if "requestBody" in operation else ()
    common = problem_responses(InvalidRequestError, MalformedQueryError, *of_body)
    if operation["security"]:
        common |= problem_responses(
            UnauthorizedError,
            ForbiddenError,
            DatabaseUnavailableError,
            ServerBusyError,
            ShuttingDownError,
        )
    for status, described in common.items():
        known = responses.setdefault(str(status), described)
        if known is not described:
            known["description"] += "; " + described["description"]
    operation["responses"] = dict(sorted(responses.items()))


def _drop_default_validation(responses: dict[str, Any]) -> None:
    """FastAPI describes its own 422, which this app never answers."""
    if MEDIA_TYPE not in responses.get("422", {}).get("content", {}):
        responses.pop("422", None)
    else:
        responses["422"]["content"].pop("application/json", None)
