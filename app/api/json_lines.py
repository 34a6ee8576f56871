"""JSON Lines: who asks for them, and the answer of any length that they are."""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.responses import StreamingResponse
from starlette.types import Send
from typing_extensions import override

from app.errors import DspatchError

logger = logging.getLogger(__name__)

JSON = "application/json"
JSON_LINES = "application/jsonl"
NAMES = (JSON_LINES, "application/x-ndjson")
"""How JSON Lines are called, the contract's name first."""

LINES: dict[str, Any] = {JSON_LINES: {"schema": {"type": "string", "format": "binary"}}}
"""JSON Lines as the content of a body in OpenAPI."""


class JSONLinesResponse(StreamingResponse):
    """A stream that is whole where its last line says so.

    Where it cannot go on, the connection is closed amid the body, so that no client takes what came
    for all of it.
    """

    media_type = JSON_LINES

    @override
    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except DspatchError as error:
            logger.warning("a stream broke off: %s", error)


def lines_asked_for(request: Request) -> str | None:
    """Give the name by which `Accept` asks for JSON Lines; None where JSON is as welcome."""
    weights = _weights(",".join(request.headers.getlist("accept")))
    best = max(NAMES, key=lambda name: weights.get(name, 0.0))
    return best if weights.get(best, 0.0) > weights.get(JSON, 0.0) else None


def _weights(accept: str) -> Mapping[str, float]:
    """Read what `Accept` names, and how much it is wanted, from 0 to 1."""
    weights = dict[str, float]()
    for one in accept.split(","):
        name, *parameters = (part.strip().lower() for part in one.split(";"))
        quality = [part.removeprefix("q=") for part in parameters if part.startswith("q=")]
        weights[name] = _number(quality[0]) if quality else 1.0
    return weights


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
