"""What a server answers a command: a document, or a refusal in its own words."""

from typing import Any

import httpx

from app.commands.console import RefusedError

_AWAY = {httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.GATEWAY_TIMEOUT}


class AwayError(RefusedError):
    """The server, or who stands before it, cannot answer just now."""


def document_of(answer: httpx.Response) -> dict[str, Any]:
    """Read an answer; RefusedError where it is a problem, AwayError where that may pass."""
    if answer.is_error:
        kind = AwayError if answer.status_code in _AWAY else RefusedError
        raise kind(f"{answer.request.url.path} answered {answer.status_code}: {answer.text}")
    document: dict[str, Any] = answer.json()
    return document
