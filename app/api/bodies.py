"""Request bodies: JSON read strictly and within limits, before any route sees it."""

import json
import math
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn

from fastapi import Request
from starlette.requests import ClientDisconnect

from app.errors import (
    Fault,
    InvalidRequestError,
    MalformedBodyError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)
from app.settings import LimitsSettings

MOST_FAULTS = 1_000
"""As many faults of one request are told."""

_ESCAPED_UNFIT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_UNFIT = re.compile("[\x00\ud800-\udfff]")
_LENGTH = re.compile("[0-9]{1,18}")
_NOT_ZERO = re.compile("[^eE]*[1-9]")
_NO_JSON = "NaN and Infinity are no JSON"


@dataclass(frozen=True)
class _Doubled:
    """Stands in the place of an object that has one key twice."""

    key: str


@dataclass(frozen=True)
class _OutOfRange:
    """Stands in the place of a number that cannot be kept exactly."""

    text: str


async def read_json(request: Request, limits: LimitsSettings) -> tuple[bytes, Any]:
    """Read and parse a body; the error says what is wrong with it, and where.

    Raises UnsupportedMediaTypeError, PayloadTooLargeError (before it has all been read),
    MalformedBodyError and InvalidRequestError.
    """
    require_media_type(request, "application/json")
    body = b"".join([chunk async for chunk in chunks_of(request, limits.json_bytes)])
    return body, read_value(body, limits.depth) if body else None


def read_value(text: bytes, depth: int) -> Any:
    """Parse JSON; MalformedBodyError, InvalidRequestError with each place that cannot be kept."""
    value, is_suspect = _parse(text, depth)
    if is_suspect:
        faults = list(islice(_faults(value, "", depth), MOST_FAULTS))
        if faults:
            raise InvalidRequestError("The body cannot be taken.", faults=faults)
    return value


def media_type_of(content_type: str) -> str:
    """Give the media type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def require_media_type(request: Request, *names: str) -> None:
    """Refuse another media type, or another encoding of text: UnsupportedMediaTypeError."""
    content_type = request.headers.get("content-type")
    if content_type is None:
        return
    parameters = content_type.partition(";")[2]
    charset = re.search(r"charset\s*=\s*\"?([^\";\s]+)", parameters, re.IGNORECASE)
    is_other = media_type_of(content_type) not in names
    if is_other or (charset and charset[1].lower() not in {"utf-8", "utf8"}):
        raise UnsupportedMediaTypeError(f"The body must be {names[0]} in UTF-8.")


async def chunks_of(request: Request, longest: int) -> AsyncIterator[bytes]:
    """Read a body piece by piece, as fast as the pieces are used.

    Raises PayloadTooLargeError as soon as it is known to be too long, and MalformedBodyError.
    """
    announced = request.headers.get("content-length", "")
    if _LENGTH.fullmatch(announced) and int(announced) > longest:
        raise _too_large(longest)
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > longest:
                raise _too_large(longest)
            yield chunk
    except ClientDisconnect:
        raise MalformedBodyError("The client left before the body's end.") from None


def _too_large(longest: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(f"The body may have {longest} bytes.")


class _Parser:
    """Parses JSON; what cannot be taken is marked in its place, to be found by its path."""

    def __init__(self) -> None:
        self.has_marked = False

    def __call__(self, text: str) -> Any:
        return json.loads(
            text,
            object_pairs_hook=self._members,
            parse_float=self._float,
            parse_int=self._integer,
            parse_constant=_refuse_constant,
        )

    def _members(self, pairs: list[tuple[str, Any]]) -> Any:
        document = dict(pairs)
        if len(document) == len(pairs):
            return document
        once = iter(document)  # each key where it came first: the pairs fall behind at a double
        doubled = next(key for key, _ in pairs if key != next(once, None))
        return self._marked(_Doubled(doubled))

    def _float(self, text: str) -> Any:
        value = float(text)
        has_vanished = value == 0 and _NOT_ZERO.match(text)
        is_lost = has_vanished or not math.isfinite(value)
        return self._marked(_OutOfRange(text)) if is_lost else value

    def _integer(self, text: str) -> Any:
        try:
            return int(text)
        except ValueError:  # Python reads no integer of over 4 300 digits
            return self._marked(_OutOfRange(text))

    def _marked(self, mark: object) -> object:
        self.has_marked = True
        return mark


def _parse(body: bytes, depth: int) -> tuple[Any, bool]:
    """Parse; the flag says that a closer look is needed, which only rare bodies are."""
    parser = _Parser()
    try:
        value = parser(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise MalformedBodyError("The body is not UTF-8.") from None
    except RecursionError:
        message = f"The body is nested deeper than {depth} levels."
        raise InvalidRequestError(message, faults=[_deep_fault("")]) from None
    except ValueError as error:
        raise MalformedBodyError(f"The body is not JSON: {error}.") from None
    is_deep = body.count(b"[") + body.count(b"{") > depth
    return value, parser.has_marked or is_deep or _ESCAPED_UNFIT.search(body) is not None


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError(_NO_JSON)


def _faults(value: Any, path: str, depth: int) -> Iterator[Fault]:
    """Walk a suspect value and name each place that cannot be taken."""
    if isinstance(value, _Doubled):
        yield Fault(path, "duplicate_key", f"the key {_shown(value.key)} stands here twice")
    elif isinstance(value, _OutOfRange):
        yield Fault(path, "out_of_range", "the number is out of range", received=value.text[:40])
    elif isinstance(value, str) and _UNFIT.search(value):
        yield Fault(path, "character", "NUL and lone surrogates cannot be kept")
    elif isinstance(value, dict | list) and depth == 0:
        yield _deep_fault(path)
    elif isinstance(value, dict):
        for key, item in value.items():
            if _UNFIT.search(key):
                yield Fault(path, "character", "a key holds NUL or a lone surrogate")
            else:
                yield from _faults(item, f"{path}/{escaped(key)}", depth - 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(item, f"{path}/{index}", depth - 1)


def _deep_fault(path: str) -> Fault:
    return Fault(path, "too_deep", "the value is nested too deep")


def _shown(key: str) -> str:
    return _UNFIT.sub("\ufffd", key)[:80]


def escaped(key: str) -> str:
    """Write a member's name as a step of a JSON Pointer."""
    return key.replace("~", "~0").replace("/", "~1")
