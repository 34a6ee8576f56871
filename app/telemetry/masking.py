"""What no log line may tell: the operator's secrets, and keys of any caller."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from pydantic import SecretStr

from app.settings import Settings

MASKED = "…"

SHORTEST = 6
"""Shorter secrets are not looked for: they would tear words apart that mean something else."""

_PATTERNS = {
    "dsp_": re.compile(r"\bdsp_[a-z0-9]{8}_[\w-]+", re.IGNORECASE),  # our keys
    "://": re.compile(r"(?<=://)[^\s/@'\"]+(?=@)"),  # user and password of an address
    "bearer ": re.compile(r"(?<=bearer )[\w.~+/=-]{6,}", re.IGNORECASE),
    "basic ": re.compile(r"(?<=basic )[\w.~+/=-]{6,}", re.IGNORECASE),
}
"""What looks like a secret whoever owns it, by a word without which it need not be looked for."""

_NAMES = re.compile(r"key|secret|token|password", re.IGNORECASE)
_PASSWORD = re.compile(r"^[^:]+://[^/?#]*?:([^/?#]*)@|[?&]password=([^&]*)")


class Mask:
    """Puts `…` in the place of secrets; the longest first, where one is a part of another."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        words = {way for secret in secrets for way in _ways(secret) if len(way) >= SHORTEST}
        self._words = sorted(words, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Give the text without secrets."""
        for word in self._words:
            if word in text:
                text = text.replace(word, MASKED)
        small = text.lower()
        for word, pattern in _PATTERNS.items():
            if word in small:
                text = pattern.sub(MASKED, text)
        return text


def _ways(secret: str) -> Iterator[str]:
    """Give a secret as itself, and as addresses, Python's traces and JSON write it."""
    yield from (secret, quote(secret, safe=""), repr(secret)[1:-1], json.dumps(secret)[1:-1])


def secrets_of(settings: Settings, environment: Mapping[str, str]) -> set[str]:
    """Find every secret that the settings hold or name, those of other packages' adapters too."""
    found = set(_secrets(settings.model_dump(), environment))
    return found | {password for secret in found for password in _passwords(secret)}


def _secrets(values: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in values.items():
        match value:
            case SecretStr():
                yield value.get_secret_value()
            case Mapping():
                yield from _secrets(value, environment)
            case str() | Path() if _NAMES.search(name):
                yield from _named(name, str(value), environment)


def _named(name: str, value: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Give what a member named like a secret holds: itself, or where the secret stands."""
    if name.endswith("_env"):
        if value in environment:
            yield environment[value]
    elif name.endswith("_file"):
        with suppress(OSError, ValueError):  # whoever needs the key says what is wrong
            yield Path(value).read_text(encoding="utf-8").strip()
    else:
        yield value


def _passwords(address: str) -> Iterator[str]:
    for groups in _PASSWORD.findall(address):
        for password in filter(None, groups):
            yield from (password, unquote(password))
