"""What other people's words must not tell: keys and addresses."""

import re
from collections.abc import Iterable

_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE)
MAX_QUOTE = 500


def quote(text: str, secrets: Iterable[str] = ()) -> str:
    """Cut a text to a length fit for a message, without addresses and without the `secrets`."""
    text = masked(" ".join(text.split()), secrets)
    return text if len(text) <= MAX_QUOTE else text[: MAX_QUOTE - 1] + "…"


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Give a text without addresses and without the `secrets`."""
    text = _ADDRESS.sub("…", text)
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "…")
    return text
