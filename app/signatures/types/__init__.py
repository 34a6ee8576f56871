"""The types of signatures: a file each, and a line each here."""

from collections.abc import Mapping

from app.signatures.types.any import AnyType
from app.signatures.types.atom import AtomType
from app.signatures.types.base import FieldType
from app.signatures.types.binary import BinaryType
from app.signatures.types.boolean import BooleanType
from app.signatures.types.confidence_score import ConfidenceScoreType
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

KINDS: tuple[type[FieldType], ...] = (
    StringType,
    IntegerType,
    FloatType,
    BooleanType,
    AtomType,
    AnyType,
    MapType,
    BinaryType,
    EmbeddingType,
    ProbabilityType,
    ConfidenceScoreType,
    ReasoningChainType,
    TokenCountType,
    ModelOutputType,
    PromptTemplateType,
    FunctionCallType,
    ToolResultType,
    ListType,
    DictType,
    UnionType,
    OptionalType,
    TaggedType,
)

TYPES: Mapping[str, type[FieldType]] = {kind.name: kind for kind in KINDS}
"""Every type by its name."""

CONSTRAINED = "constrained"
"""Notation only: `constrained[T, name=value]` is T with its constraints."""

SPELLINGS: Mapping[str, str] = {
    "str": "string",
    "int": "integer",
    "bool": "boolean",
    "bytes": "binary",
    "Literal": "atom",
    "Any": "any",
    "List": "list",
    "Dict": "dict",
    "Optional": "optional",
    "Union": "union",
}
"""How Python and DSPy write our names."""
