"""Shared schemas: what stands in a document more than once moves into its `$defs`."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.signatures.types.base import FieldType, Schema

_PAYS_FROM = 80
"""Characters of a schema from which a reference is easier to read than the schema again."""


def shared(schema: Schema, types: Iterable[FieldType]) -> Schema:
    """Give the schema with what several of the types have in common in `$defs`."""
    counts = Counter(_candidates(types))
    often = {text: name for (text, name), count in counts.items() if count > 1}
    names = _different(often)
    definitions: dict[str, Any] = {}
    rest = _referring(schema, names, definitions)
    return {**rest, "$defs": dict(sorted(definitions.items()))} if definitions else schema


def _candidates(types: Iterable[FieldType]) -> Iterator[tuple[str, str]]:
    """Give the schema, as text, and the name of every type that is worth a definition."""
    for field_type in types:
        text = _text(field_type.json_schema())
        if len(text) >= _PAYS_FROM:
            yield text, re.sub(r"\W+", "_", field_type.name)
        yield from _candidates(field_type.parts)


def _different(often: Mapping[str, str]) -> dict[str, str]:
    """Give each text a name of its own: tagged, tagged_2 and so on."""
    seen: Counter[str] = Counter()
    names = {}
    for text, name in often.items():
        seen[name] += 1
        names[text] = name if seen[name] == 1 else f"{name}_{seen[name]}"
    return names


def _referring(value: Any, names: Mapping[str, str], definitions: dict[str, Any]) -> Any:
    match value:
        case dict():
            text = _text(value)
            inner = {
                key: item if key == "default" else _referring(item, names, definitions)
                for key, item in value.items()
            }
            if text not in names:
                return inner
            definitions[names[text]] = inner
            return {"$ref": f"#/$defs/{names[text]}"}
        case list():
            return [_referring(item, names, definitions) for item in value]
        case _:
            return value


def _text(schema: Any) -> str:
    return json.dumps(schema, sort_keys=True)
