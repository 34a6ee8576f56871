"""The settings of a `remote` adapter, read and checked before anything is sent."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from app.settings import KeySource

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class RemoteOptions(KeySource):
    """Where the other Dspatch is, the key for it, and the adapter that runs programs there.

    Nothing that a request holds changes the address.
    """

    url: Annotated[str, StringConstraints(min_length=1)]
    allow_http: bool = False
    adapter: Annotated[str, Field(min_length=1)] = "dspy"

    @model_validator(mode="after")
    def _sound_address(self) -> Self:
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError("url: this is no address") from None
        has_more = parts.username or parts.password or parts.query or parts.fragment
        if parts.scheme not in {"http", "https"} or not host or port == 0 or has_more:
            raise ValueError("url: give https://host, with a port and a path at most")
        if parts.scheme == "http" and not self.allow_http and host not in LOOPBACK:
            raise ValueError(
                "url: keys and inputs would go in the clear; allow_http = true lets them"
            )
        return self
