"""Records as JSON for clients, whatever strings stand in them."""

import json
from typing import Any

from pydantic_core import to_json


def json_bytes(value: Any) -> bytes:
    """Write RFC 8259 in UTF-8; half a surrogate pair, which has no UTF-8, as its escape."""
    try:
        return to_json(value, inf_nan_mode="strings")
    except ValueError:
        return json.dumps(value, allow_nan=False, default=_plain).encode()


def _plain(value: Any) -> Any:
    """Write what is no JSON, an id or a time, as the fast way writes it."""
    return json.loads(to_json(value))
