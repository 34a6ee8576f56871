"""What is wrong with an answer that DSPy cannot read, place by place."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from app.errors import Fault
from app.signatures.faults import cut, encodable, faults_of, pointer

_FIELD = re.compile(r"Failed to parse field (\w+)")


def parse_faults(error: Any) -> Iterator[Fault]:
    """Give the faults behind an `AdapterParseError`: in a value, missing fields, or no format."""
    reason = error.__cause__ or error.__context__
    if isinstance(reason, ValidationError):
        yield from _value_faults(reason, error)
    elif isinstance(error.parsed_result, Mapping):
        for name in error.signature.output_fields:
            if name not in error.parsed_result:
                yield Fault(pointer((name,)), "missing", f"{name} is missing", "a value")
    else:
        words = encodable(str(error.message).partition("\n\n")[0])
        yield Fault("", "unreadable", cut(words))


def _value_faults(reason: ValidationError, error: Any) -> Iterator[Fault]:
    found = _FIELD.match(error.message)
    if found and found[1] in error.signature.output_fields:
        for fault in faults_of(reason, called=found[1]):
            yield fault.under(pointer((found[1],)))
    else:  # in XML, DSPy tells the field's definition in place of its name
        for fault in faults_of(reason, called="an output"):
            yield replace(fault, path="")
