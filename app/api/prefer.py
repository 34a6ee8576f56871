"""`Prefer` (RFC 7240): whether a client waits for the end of what it asks for, and how long."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request

HEADER = "Prefer"
APPLIED = "Preference-Applied"

LONGEST_WAIT_S = 60
"""More is cut."""

_SECONDS = re.compile(r"\d{1,9}")

PARAMETER: Mapping[str, Any] = {
    "name": HEADER,
    "in": "header",
    "description": "`respond-async` accepts the work and answers 202 at once; with `wait=N` beside "
    f"it, answers as without if it ends within N seconds (at most {LONGEST_WAIT_S}). Anything "
    "else has no effect.",
    "schema": {"type": "string"},
    "example": "respond-async, wait=5",
}
"""The header in OpenAPI; a route that reads preferences has it in `openapi_extra`."""

WAIT_PARAMETER: Mapping[str, Any] = {
    **PARAMETER,
    "description": f"`wait=N` answers 200 if the work ends within N seconds (at most "
    f"{LONGEST_WAIT_S}), else 202 after that. Anything else has no effect.",
    "example": "wait=5",
}
"""The header of routes that accept work in any case."""

ANSWER_HEADERS: Mapping[str, Any] = {
    "Location": {"description": "Where it is found.", "schema": {"type": "string"}},
    APPLIED: {"description": "The preferences that were obeyed.", "schema": {"type": "string"}},
}
"""The headers of a 202, in OpenAPI."""


@dataclass(frozen=True)
class Preference:
    """How long a client waits, in seconds; None where it waits for the end."""

    wait_s: float | None = None
    applied: str = ""

    @property
    def is_async(self) -> bool:
        """Whether the answer may come before the end."""
        return self.wait_s is not None


def preference_of(request: Request) -> Preference:
    """Read what a request prefers; what is not understood has no effect, as RFC 7240 says."""
    found = _read(request)
    if found.get("respond-async") != "":
        return Preference()
    seconds = _seconds(found)
    if seconds is None:
        return Preference(0, "respond-async")
    return Preference(min(seconds, LONGEST_WAIT_S), f"respond-async, wait={seconds}")


def wait_of(request: Request) -> Preference:
    """Read how long a request waits for the end of work that is accepted anyway."""
    seconds = _seconds(_read(request))
    if seconds is None:
        return Preference()
    return Preference(min(seconds, LONGEST_WAIT_S), f"wait={seconds}")


def _read(request: Request) -> Mapping[str, str]:
    found = dict[str, str]()
    for one in ",".join(request.headers.getlist(HEADER)).split(","):
        name, _, value = one.split(";")[0].partition("=")
        found.setdefault(name.strip().lower(), value.strip().strip('"'))
    return found


def _seconds(found: Mapping[str, str]) -> int | None:
    wait = found.get("wait", "")
    return int(wait) if _SECONDS.fullmatch(wait) else None
