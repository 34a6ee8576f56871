"""The formats of text. Each is checked in linear time, whatever the text.

Shapes are pydantic-core's (Rust's) regular expressions, which never backtrack.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from pydantic_core import CoreSchema, PydanticCustomError, SchemaValidator, core_schema

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
_DAYS = r"([0-9]+Y([0-9]+M([0-9]+D)?)?|[0-9]+M([0-9]+D)?|[0-9]+D)"
_SECONDS = r"[0-9]+(\.[0-9]+)?S"
_CLOCK = rf"T([0-9]+H([0-9]+M({_SECONDS})?)?|[0-9]+M({_SECONDS})?|{_SECONDS})"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(\.{_LABEL})*"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_HEX = "[0-9A-Fa-f]"


@dataclass(frozen=True)
class Format:
    """A named shape of text: the check of the whole text, and one text that passes it."""

    fits: Callable[[str], bool]
    sample: str


def format_schema(name: str, schema: CoreSchema) -> CoreSchema:
    """Give the schema narrowed to texts in the format."""
    fits = FORMATS[name].fits

    def check(text: str) -> str:
        if not fits(text):
            raise PydanticCustomError("format", "text in the format {format}", {"format": name})
        return text

    return core_schema.no_info_after_validator_function(check, schema)


def _shape(pattern: str, *then: CoreSchema, max_length: int | None = None) -> Callable[[str], bool]:
    whole = core_schema.str_schema(pattern=f"^({pattern})$", max_length=max_length)
    return SchemaValidator(core_schema.chain_schema([whole, *then])).isinstance_python


def _address(kind: type[IPv4Address | IPv6Address]) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        try:
            kind(text)
        except ValueError:
            return False
        return "%" not in text  # a zone is not part of the address (RFC 4291)

    return fits


FORMATS: Mapping[str, Format] = {
    "date-time": Format(
        _shape(f"{_DATE}[Tt]{_TIME}", core_schema.datetime_schema()), "2026-01-31T09:30:00Z"
    ),
    "date": Format(_shape(_DATE, core_schema.date_schema()), "2026-01-31"),
    "time": Format(_shape(_TIME, core_schema.time_schema()), "09:30:00Z"),
    "duration": Format(_shape(rf"P([0-9]+W|{_DAYS}({_CLOCK})?|{_CLOCK})"), "PT1H30M"),
    "email": Format(_shape(rf"{_ATOM}(\.{_ATOM})*@{_HOST}", max_length=320), "ada@example.org"),
    "uri": Format(
        _shape(
            rf"[A-Za-z][A-Za-z0-9+.-]*:([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%{_HEX}{{2}})+",
            core_schema.url_schema(),
        ),
        "https://example.org/page",
    ),
    "uuid": Format(
        _shape(rf"{_HEX}{{8}}(-{_HEX}{{4}}){{3}}-{_HEX}{{12}}"),
        "0198c5f0-0000-7000-8000-000000000000",
    ),
    "ipv4": Format(_address(IPv4Address), "192.0.2.1"),
    "ipv6": Format(_address(IPv6Address), "2001:db8::1"),
    "hostname": Format(_shape(_HOST, max_length=253), "example.org"),
}
