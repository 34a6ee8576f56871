"""JSON answers, in which every string of a record can be written."""

import json
from typing import Any

from pydantic_core import to_json
from starlette import responses
from typing_extensions import override


class JSONResponse(responses.JSONResponse):
    """RFC 8259 in UTF-8; half a surrogate pair, which has no UTF-8, is written as its escape."""

    @override
    def render(self, content: Any) -> bytes:
        try:
            return to_json(content, inf_nan_mode="strings")
        except ValueError:
            return json.dumps(content, allow_nan=False, default=str).encode()
