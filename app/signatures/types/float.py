"""Numbers."""

import math
import re
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial
from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.constraints import COUNT, NUMBER
from app.signatures.types.base import FieldType, Schema
from app.signatures.types.sampling import Sample

_NOT_ZERO = re.compile("[^eE]*[1-9]")


class FloatType(FieldType):
    """A finite number; a numeric text converts. It is rounded before its bounds are checked."""

    name = "float"
    weight = 1
    wrong: ClassVar = (None, True, "no number", [], {})
    allowed: ClassVar = {"min": NUMBER, "max": NUMBER, "precision": COUNT}
    keywords: ClassVar = {"minimum": "min", "maximum": "max"}

    @override
    def core_schema(self) -> CoreSchema:
        bounded = core_schema.float_schema(
            ge=self.constraints.get("min"), le=self.constraints.get("max"), allow_inf_nan=False
        )
        if "precision" not in self.constraints:
            return bounded
        rounded: Callable[[float], float] = partial(_rounded, self.constraints["precision"])
        number = core_schema.float_schema(allow_inf_nan=False)
        return core_schema.chain_schema(
            [core_schema.no_info_after_validator_function(rounded, number), bounded]
        )

    @override
    def convert(self, value: Any) -> Any:
        match value:
            case bool():
                return value
            case int() | str():
                return _as_float(value)
            case _:
                return value

    @override
    def shape(self) -> Schema:
        return {"type": "number", **self.told()}

    @override
    def remarks(self) -> Iterator[str]:
        if "precision" in self.constraints:
            yield f"Rounded to {self.constraints['precision']} decimals."

    @override
    def annotation(self) -> Any:
        return float

    @override
    def sample(self, random: Random) -> float:
        return number_sample(random, self.constraints.get("min"), self.constraints.get("max"))

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        for name, outwards in (("min", -math.inf), ("max", math.inf)):
            bound = self.constraints.get(name)
            if bound is None:
                continue
            if "precision" not in self.constraints:
                yield Sample(float(bound), must_pass=True)
                yield Sample(str(bound), must_pass=True)
            yield from past_bound(bound, outwards, is_rounded="precision" in self.constraints)


def number_sample(random: Random, low: float | None, high: float | None) -> float:
    """Make a number within the bounds, with two decimals where one of them fits."""
    if low is None:
        low = 0.0 if high is None else min(0.0, high)
    if high is None:
        high = low + 1
    drawn = low + (high - low) * random.random()
    short = round(drawn, 2)
    return short if low <= short <= high else low


def past_bound(bound: float, outwards: float, *, is_rounded: bool) -> Iterator[Sample]:
    """Make a number past the bound that rounding does not bring back, if there is one."""
    past = bound + math.copysign(1, outwards) if is_rounded else math.nextafter(bound, outwards)
    if math.isfinite(past) and past != bound:
        yield Sample(past, must_pass=False)


def _rounded(decimals: int, value: float) -> float:
    """Round as it is written: 2.675 is halfway to a reader, whatever its bits are."""
    written = Decimal(repr(value))
    _, _, exponent = written.as_tuple()
    if not isinstance(exponent, int) or -exponent <= decimals:
        return value
    return float(written.quantize(Decimal((0, (1,), -decimals)), ROUND_HALF_EVEN))


def _as_float(value: int | str) -> Any:
    if isinstance(value, str) and ("_" in value or not value.isascii() or value != value.strip()):
        return value  # Python's own spellings, which are no numeric texts elsewhere
    try:
        number = float(value)
    except ValueError:
        return value
    except OverflowError:
        return math.inf  # refused for not being finite, as the text "1e999" is
    has_vanished = number == 0 and isinstance(value, str) and _NOT_ZERO.match(value)
    return value if has_vanished else number
