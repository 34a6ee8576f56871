"""The route by which a batch of any size comes in as JSON Lines."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response, status
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError
from pydantic_core import from_json
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import Scope
from typing_extensions import override

from app.actions.batch_processing.asking import BatchAcceptanceInput
from app.actions.batch_processing.options import BatchOptions
from app.actions.batch_processing.validation import OnInvalid
from app.api.auth import EXECUTE, needs
from app.api.batch_answers import accepted, replayed
from app.api.batch_views import BatchOptionsBody
from app.api.bodies import media_type_of, require_media_type
from app.api.contract_route import ContractRoute
from app.api.deps import ProgramId
from app.api.idempotency import claimed, key_of, once
from app.api.json_lines import NAMES
from app.api.line_bodies import LineBody
from app.errors import UnsupportedMediaTypeError
from app.models.idempotency_keys import Claim
from app.runtime import Runtime


class UploadQuery(BatchOptionsBody):
    """What an upload says beside its lines."""

    on_invalid: OnInvalid = Field(
        default=OnInvalid.REJECT,
        description="What becomes of the batch where lines do not fit the signature.",
    )


class UploadRoute(ContractRoute):
    """Takes what comes as JSON Lines, and leaves the rest to the route of the same path."""

    more_parameters = frozenset(UploadQuery.model_fields)

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        media_type = media_type_of(Headers(scope=scope).get("content-type", ""))
        return super().matches(scope) if media_type in NAMES else (Match.NONE, {})


router = APIRouter(prefix="/v1", tags=["batches"], route_class=UploadRoute)


def _described() -> Iterator[Mapping[str, Any]]:
    schema = UploadQuery.model_json_schema()
    for name, field in schema["properties"].items():
        shape = schema["$defs"][field.pop("$ref").rpartition("/")[2]] if "$ref" in field else {}
        description = field.pop("description", "")
        yield {
            "name": name,
            "in": "query",
            "required": False,
            "description": f"Of JSON Lines alone. {description}".strip(),
            "schema": {**shape, **field},
        }


UPLOAD_PARAMETERS = tuple(_described())
"""The query of an upload in OpenAPI."""


@router.post(
    "/programs/{program_id}/batches",
    status_code=status.HTTP_202_ACCEPTED,
    include_in_schema=False,  # a body of the route that takes JSON
)
@needs(EXECUTE)
async def upload_batch(program_id: ProgramId, request: Request) -> Response:
    runtime: Runtime = request.app.state.runtime
    _require_plain(request)
    query, key = _query_of(request), key_of(request)
    runtime.check_callback(query.progress_callback, "/query/progress_callback")
    lines = LineBody(request, runtime.settings.limits)
    asked = BatchAcceptanceInput(
        program_id=program_id,
        items=lines.items,
        options=BatchOptions(**query.model_dump(exclude={"on_invalid"})),
        on_invalid=query.on_invalid,
        request_id=request.state.request_id,
        claim=None if key is None else Claim(key, b""),
    )
    async with runtime.batches.take_in(asked) as intake:
        claim = None if key is None else claimed(request, key, lines.hash())
        store = partial(runtime.batches.store, replace(asked, claim=claim), intake)
        read = await once(request, claim, store, partial(replayed, runtime))
    return await accepted(request, read)


def _require_plain(request: Request) -> None:
    require_media_type(request, *NAMES)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaTypeError("The body must not be encoded.")


def _query_of(request: Request) -> UploadQuery:
    """Read the query as strictly as a body; RequestValidationError."""
    given = {name: value_of(text) for name, text in request.query_params.items()}
    try:
        return UploadQuery.model_validate(given)
    except ValidationError as error:
        faults = [{**fault, "loc": ("query", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from None


def value_of(text: str) -> Any:
    """Read a number, true or false as JSON; anything else is text."""
    try:
        return from_json(text)
    except ValueError:
        return text
