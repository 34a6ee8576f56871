"""Bytes, which JSON carries as base64 text."""

import base64
import binascii
from collections.abc import Iterator
from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema
from typing_extensions import override

from app.signatures.constraints import COUNT, TEXT
from app.signatures.types.base import FieldType, Schema, text_schema
from app.signatures.types.sampling import MOST, Sample

_SAMPLE_BYTES = 8
_BASE64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"


class BinaryType(FieldType):
    """Base64 text; Python's bytes convert. `media_type` says what they are and checks nothing."""

    name = "binary"
    wrong: ClassVar = (None, True, 5, "no base64", "YQ", [], {})
    allowed: ClassVar = {"max_bytes": COUNT, "media_type": TEXT}
    keywords: ClassVar = {"contentMediaType": "media_type"}

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
    def shape(self) -> Schema:
        schema = {"type": "string", "contentEncoding": "base64", "pattern": _BASE64, **self.told()}
        if "max_bytes" in self.constraints:
            schema["maxLength"] = -(-self.constraints["max_bytes"] // 3) * 4
        return schema

    @override
    def remarks(self) -> Iterator[str]:
        if "max_bytes" in self.constraints:
            yield f"At most {self.constraints['max_bytes']} bytes."

    @override
    def annotation(self) -> Any:
        return bytes

    @override
    def sample(self, random: Random) -> str:
        size = min(_SAMPLE_BYTES, self.constraints.get("max_bytes", _SAMPLE_BYTES))
        return base64.b64encode(random.randbytes(size)).decode()

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        size = self.constraints.get("max_bytes", MOST)
        if size < MOST:
            yield Sample(_encoded(size), must_pass=True)
            yield Sample(_encoded(size + 1), must_pass=False)


def _encoded(size: int) -> str:
    return base64.b64encode(bytes(size)).decode()
