"""The LMs of the settings, read and checked before DSPy is there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from app.adapters.dspy.config import LMParameters
from app.adapters.setup import describe
from app.settings import LMSettings, SettingsError

OPENAI = "https://api.openai.com/v1"


@dataclass(frozen=True)
class Endpoint:
    """Where a model is served, and what it takes to ask it; `model` is the server's name for it."""

    base_url: str
    model: str
    key: str | None = field(default=None, repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of every call."""
        return {} if self.key is None else {"Authorization": f"Bearer {self.key}"}

    @property
    def secrets(self) -> Sequence[str]:
        """What no message may tell."""
        host = urlsplit(self.base_url).netloc
        return [self.base_url, host] if self.key is None else [self.key, self.base_url, host]

    def url(self, path: str) -> str:
        """Give the address of a path."""
        return f"{self.base_url}/{path}"


@dataclass(frozen=True)
class ServedLM:
    """An LM of the settings; without an endpoint it is asked by an engine of DSPy's own."""

    name: str
    model: str
    parameters: Mapping[str, Any]
    timeout_s: float
    key: str | None = field(repr=False)
    endpoint: Endpoint | None

    @property
    def secrets(self) -> Sequence[str]:
        """What no message may tell."""
        if self.endpoint is not None:
            return self.endpoint.secrets
        return [] if self.key is None else [self.key]


def read_lms(
    settings: Mapping[str, LMSettings], environment: Mapping[str, str]
) -> Sequence[ServedLM]:
    """Find each LM's key and address; SettingsError names the LM whose settings cannot be used."""
    return [_read(name, of, environment) for name, of in settings.items()]


def _read(name: str, settings: LMSettings, environment: Mapping[str, str]) -> ServedLM:
    try:
        key = settings.key(environment)
        parameters = LMParameters.model_validate(settings.params).model_dump(exclude_unset=True)
    except SettingsError as error:
        raise SettingsError(f"lms.{name}: {error}") from None
    except ValidationError as error:
        raise SettingsError("\n".join(describe(error, f"lms.{name}.params"))) from None
    if settings.api_base is not None and not _is_address(settings.api_base):
        raise SettingsError(f"lms.{name}.api_base: an address begins with http:// or https://")
    return ServedLM(
        name=name,
        model=settings.model,
        parameters=parameters,
        timeout_s=settings.timeout_ms / 1_000,
        key=key,
        endpoint=_endpoint(settings, key),
    )


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _endpoint(settings: LMSettings, key: str | None) -> Endpoint | None:
    provider, slash, rest = settings.model.partition("/")
    base_url = settings.api_base or (OPENAI if provider == "openai" and slash else None)
    if base_url is None:
        return None
    return Endpoint(base_url.rstrip("/"), rest if slash else provider, key)
