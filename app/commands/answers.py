"""What a server answers a command: a document, or a refusal in its own words."""

from typing import Any

import httpx

from app.commands.console import RefusedError


def document_of(answer: httpx.Response) -> dict[str, Any]:
    """Read an answer; RefusedError where it is a problem."""
    if answer.is_error:
        raise RefusedError(
            f"{answer.request.url.path} answered {answer.status_code}: {answer.text}"
        )
    document: dict[str, Any] = answer.json()
    return document
