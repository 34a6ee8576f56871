"""Bytes, which JSON carries as base64 text."""

import base64
import binascii
from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema
from typing_extensions import override

from app.signatures.constraints import COUNT, TEXT
from app.signatures.types.base import FieldType, text_schema

_SAMPLE_BYTES = 8


class BinaryType(FieldType):
    """Base64 text; Python's bytes convert. `media_type` says what they are and checks nothing."""

    name = "binary"
    allowed: ClassVar = {"max_bytes": COUNT, "media_type": TEXT}

    @override
    def core_schema(self) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, text_schema())

    def _check(self, text: str) -> str:
        try:
            size = len(binascii.a2b_base64(text, strict_mode=True))
        except ValueError:
            raise PydanticCustomError("base64", "base64 text") from None
        if size > self.constraints.get("max_bytes", size):
            limit = {"max_length": self.constraints["max_bytes"]}
            raise PydanticKnownError("bytes_too_long", limit)
        return text

    @override
    def convert(self, value: Any) -> Any:
        return base64.b64encode(value).decode() if isinstance(value, bytes) else value

    @override
    def annotation(self) -> Any:
        return bytes

    @override
    def sample(self, random: Random) -> str:
        size = min(_SAMPLE_BYTES, self.constraints.get("max_bytes", _SAMPLE_BYTES))
        return base64.b64encode(random.randbytes(size)).decode()
