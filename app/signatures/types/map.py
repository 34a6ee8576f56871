"""JSON objects."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import override

from app.signatures.constraints import COUNT, NAMES
from app.signatures.types.base import FieldType, Schema, json_value_schema, text_schema
from app.signatures.types.sampling import MOST, MOST_NAMED, Sample


class MapType(FieldType):
    """A JSON object with any members."""

    name = "map"
    wrong: ClassVar = (None, True, 5, "text", [])
    allowed: ClassVar = {"required_keys": NAMES, "min_size": COUNT, "max_size": COUNT}
    keywords: ClassVar = {
        "required": "required_keys",
        "minProperties": "min_size",
        "maxProperties": "max_size",
    }

    @override
    def core_schema(self) -> CoreSchema:
        schema = core_schema.dict_schema(
            text_schema(),
            json_value_schema(),
            min_length=self.constraints.get("min_size"),
            max_length=self.constraints.get("max_size"),
        )
        return with_required_keys(schema, self.constraints.get("required_keys", ()))

    @override
    def shape(self) -> Schema:
        return {"type": "object", **self.told()}

    @override
    def annotation(self) -> Any:
        return dict[str, Any]

    @override
    def sample(self, random: Random) -> dict[str, Any]:
        keys = list(self.constraints.get("required_keys", ()))
        more = self.constraints.get("min_size", 0) - len(keys)
        keys += [f"key_{number}" for number in range(more)]
        return {key: random.randint(0, 9) for key in keys}

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        yield from member_edges(self, self.sample(random), None)


def with_required_keys(schema: CoreSchema, keys: Sequence[str]) -> CoreSchema:
    """Give the schema of objects narrowed to those that have the keys."""
    if not keys:
        return schema

    def check(value: dict[str, Any]) -> dict[str, Any]:
        missing = [key for key in keys if key not in value]
        if missing:
            raise PydanticCustomError(
                "missing_keys", "an object with {keys}", {"keys": ", ".join(missing)}
            )
        return value

    return core_schema.no_info_after_validator_function(check, schema)


def member_edges(of: FieldType, members: dict[str, Any], value: Any) -> Iterator[Sample]:
    """Make objects at the bounds of `required_keys`, `min_size` and `max_size` and past them."""
    for key in of.constraints.get("required_keys", ())[:MOST_NAMED]:
        yield Sample({name: members[name] for name in members if name != key}, must_pass=False)
    least, most = of.constraints.get("min_size", 0), of.constraints.get("max_size", MOST)
    if 0 < least <= len(members):
        yield Sample(dict(list(members.items())[: least - 1]), must_pass=False)
    if most * of.part_size < MOST:
        crowd = {f"key {number}": value for number in range(most + 1)}
        yield Sample(crowd, must_pass=False)
