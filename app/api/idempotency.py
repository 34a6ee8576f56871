"""`Idempotency-Key`: read from a request, and obeyed by the routes that make something."""

import re
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any, TypeVar

from fastapi import Request

from app.actions.keyring import Caller
from app.api.answer_headers import IS_REPLAYED
from app.errors import Fault, InvalidRequestError
from app.models import IdempotencyKey
from app.models.idempotency_keys import Claim
from app.runtime import Runtime

T = TypeVar("T")

HEADER = "Idempotency-Key"

_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')

PARAMETER: Mapping[str, Any] = {
    "name": HEADER,
    "in": "header",
    "description": "1 to 255 printable characters, bare or as a quoted string. A request with "
    "the same key, from the same caller, answers what the first one answered, for 24 h.",
    "schema": {"type": "string", "pattern": "^[ -~]+$", "maxLength": 255},
    "example": "order-4711",
}
"""The header in OpenAPI; a route that reads claims has it in `openapi_extra`."""


async def claim_of(request: Request) -> Claim | None:
    """Read what a request claims, None where it has no key; InvalidRequestError.

    No dependency: FastAPI would take longer to solve it than the rest of most requests takes.
    """
    key = key_of(request)
    return None if key is None else claimed(request, key, sha256(await request.body()).digest())


def key_of(request: Request) -> bytes | None:
    """Read a request's key within its scope, None where it has none; InvalidRequestError."""
    written = request.headers.getlist(HEADER)
    if not written:
        return None
    key = _unquoted(written[0])
    if len(written) > 1 or not _KEY.fullmatch(key):
        fault = Fault("/headers/idempotency-key", "invalid", "1 to 255 printable characters, once")
        raise InvalidRequestError("The idempotency key is not valid.", faults=[fault])
    caller: Caller = request.state.caller
    scope = (caller.key_id or "", request.method, request.scope["path"], key)
    return _joined(*(sha256(part.encode()).digest() for part in scope))


def claimed(request: Request, key: bytes, body_hash: bytes) -> Claim:
    """Say that this very request claims a key; the hash is its body's SHA-256."""
    prefer = ", ".join(request.headers.getlist("prefer")).encode()
    query: bytes = request.scope["query_string"]
    return Claim(key, _joined(sha256(query).digest(), sha256(prefer).digest(), body_hash))


async def once(
    request: Request,
    claim: Claim | None,
    do: Callable[[], Awaitable[T]],
    replay: Callable[[IdempotencyKey], Awaitable[T]],
) -> T:
    """Do what a request asks for, or answer it again and say so in the answer's head."""
    if claim is None:
        return await do()
    state = request.scope["state"]

    async def do_anew() -> T:
        state[IS_REPLAYED] = False
        return await do()

    async def replay_and_say_so(kept: IdempotencyKey) -> T:
        state[IS_REPLAYED] = True
        return await replay(kept)

    runtime: Runtime = request.app.state.runtime
    return await runtime.idempotency.once(claim, do_anew, replay_and_say_so)


def _unquoted(text: str) -> str:
    """Read RFC 8941's string; what is none is the key itself."""
    text = text.strip(" ")
    quoted = _QUOTED.fullmatch(text)
    return re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text


def _joined(*hashes: bytes) -> bytes:
    """Hash hashes, so that no two lists of what they are of are alike."""
    return sha256(b"".join(hashes)).digest()
