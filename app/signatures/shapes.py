"""What a type takes, in a form that types of different names share, so as to be compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

from app.signatures.constraints import LARGEST, SMALLEST
from app.signatures.types.any import AnyType
from app.signatures.types.atom import AtomType
from app.signatures.types.base import FieldType
from app.signatures.types.binary import BinaryType
from app.signatures.types.dict import DictType
from app.signatures.types.embedding import EmbeddingType
from app.signatures.types.float import FloatType
from app.signatures.types.function_call import FunctionCallType
from app.signatures.types.integer import IntegerType
from app.signatures.types.list import ListType
from app.signatures.types.map import MapType
from app.signatures.types.model_output import ModelOutputType
from app.signatures.types.optional import OptionalType
from app.signatures.types.probability import ProbabilityType
from app.signatures.types.prompt_template import PromptTemplateType
from app.signatures.types.reasoning_chain import ReasoningChainType
from app.signatures.types.string import StringType
from app.signatures.types.tagged import TaggedType
from app.signatures.types.token_count import TokenCountType
from app.signatures.types.tool_result import ToolResultType
from app.signatures.types.union import UnionType


@dataclass(frozen=True)
class Shape:
    """A kind of JSON value, limits that narrow it, and the shapes within it.

    `of` is the type where one takes exactly this, `members` what an object of fixed members is
    seen as beside other objects.
    """

    kind: str
    limits: Mapping[str, Any] = field(default_factory=dict)
    parts: "tuple[Shape, ...]" = ()
    of: FieldType | None = None
    members: "Shape | None" = None


ANY = Shape("any")
NULL = Shape("null")
TEXT = Shape("text")


@singledispatch
def shape_of(of: FieldType) -> Shape:
    """Give the shape of what the type takes; those without limits are of the type's own name."""
    return Shape(of.name, of=of)


@shape_of.register
def _string(of: StringType) -> Shape:
    return Shape("text", of.constraints, of=of)


@shape_of.register
def _atom(of: AtomType) -> Shape:
    return Shape("text", of.constraints or {"min_length": 1}, of=of)


@shape_of.register
def _binary(of: BinaryType) -> Shape:
    limits = {name: value for name, value in of.constraints.items() if name != "media_type"}
    return Shape("text", {"is_base64": True, **limits}, of=of)


@shape_of.register
def _template(of: PromptTemplateType) -> Shape:
    return Shape("text", {"is_template": True, **of.constraints}, of=of)


@shape_of.register
def _integer(of: IntegerType) -> Shape:
    limits = {"min": SMALLEST, "max": LARGEST, "is_whole": True, "precision": 0}
    return Shape("number", {**limits, **of.constraints}, of=of)


@shape_of.register
def _token_count(of: TokenCountType) -> Shape:
    most = of.constraints.get("max_tokens", LARGEST)
    return Shape("number", {"min": 0, "max": most, "is_whole": True, "precision": 0}, of=of)


@shape_of.register
def _float(of: FloatType) -> Shape:
    return Shape("number", of.constraints, of=of)


@shape_of.register
def _probability(of: ProbabilityType) -> Shape:
    return Shape("number", {"min": 0, "max": 1, "is_no_text": True}, of=of)


@shape_of.register
def _embedding(of: EmbeddingType) -> Shape:
    told = of.constraints
    bounds = {name: told[f"{name}_value"] for name in ("min", "max") if f"{name}_value" in told}
    counts = dict.fromkeys(("min_length", "max_length"), told.get("dimensions"))
    item = Shape("number", {**bounds, "is_no_text": True})
    return Shape("list", counts if "dimensions" in told else {}, (item,), of)


@shape_of.register
def _reasoning_chain(of: ReasoningChainType) -> Shape:
    told = of.constraints
    step = {"pattern": told["step_format"]} if "step_format" in told else {}
    counts = {"max_length": told["max_steps"]} if "max_steps" in told else {}
    return Shape("list", counts, (shape_of(StringType(constraints=step)),), of)


@shape_of.register
def _list(of: ListType) -> Shape:
    limits = {name: value for name, value in of.constraints.items() if value is not False}
    return Shape("list", limits, (shape_of(of.item),), of)


@shape_of.register
def _map(of: MapType) -> Shape:
    return Shape("object", of.constraints, (TEXT, ANY), of)


@shape_of.register
def _dict(of: DictType) -> Shape:
    return Shape("object", of.constraints, (shape_of(of.key), shape_of(of.value)), of)


@shape_of.register
def _function_call(of: FunctionCallType) -> Shape:
    members = _fixed(("name", "arguments"), most=2)
    return Shape(of.name, of.constraints, of=of, members=members)


@shape_of.register
def _tool_result(of: ToolResultType) -> Shape:
    return Shape(of.name, of=of, members=_fixed(("tool", "result"), most=3))


@shape_of.register
def _tagged(of: TaggedType) -> Shape:
    members = _fixed(("tag", "value"), most=2)
    return Shape(of.name, {"tag": of.tag}, (shape_of(of.inner),), of, members)


@shape_of.register
def _union(of: UnionType) -> Shape:
    return Shape("union", parts=tuple(map(shape_of, of.members)), of=of)


@shape_of.register
def _optional(of: OptionalType) -> Shape:
    return Shape("union", parts=(shape_of(of.inner), NULL), of=of)


@shape_of.register
def _model_output(of: ModelOutputType) -> Shape:
    parts = shape_of(StringType(constraints=of.constraints)), shape_of(MapType())
    return Shape("union", parts=parts, of=of)


@shape_of.register
def _any(of: AnyType) -> Shape:
    return Shape("any", of=of)


def _fixed(required: tuple[str, ...], most: int) -> Shape:
    limits = {"required_keys": required, "min_size": len(required), "max_size": most}
    return Shape("object", limits, (TEXT, ANY))
