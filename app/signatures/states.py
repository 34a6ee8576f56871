"""Compiled states as DSPy writes them in JSON, read through an allow-list of our own.

A state is data: instructions, demos, and each field's prefix and description. What else DSPy writes
beside them is checked and set nowhere, and what it does not write is refused.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pydantic_core import CoreSchema, ValidationError, core_schema

from app.signatures.faults import FaultsError, faults_of
from app.signatures.thorough import ThoroughValidator
from app.signatures.types.base import json_value_schema, list_schema, object_schema, text_schema

METADATA = "metadata"
"""The member beside the predictors: with which versions the state was saved."""

DSPY_LM = "dspy.clients.lm.LM"
"""The one class that DSPy names in a state by itself; any other is the writer's own code."""

_MARKS = ("augmented", "dspy_uuid", "dspy_split")
"""What DSPy's optimizers write into a demo beside the fields."""

_UNUSED = ("traces", "train")
"""Lists that DSPy writes and no prompt shows."""


class StateError(FaultsError):
    """The state does not fit the module that it is for."""


@dataclass(frozen=True)
class PredictorShape:
    """One predictor of a module: its fields' names in order, and its state before any compiling."""

    fields: tuple[str, ...]
    fresh: Mapping[str, Any]


@dataclass(frozen=True)
class ModuleShape:
    """What a module's state holds: its predictors by name; `is_flat` where it is one itself."""

    predictors: Mapping[str, PredictorShape]
    versions: Mapping[str, str]
    is_flat: bool = False

    def fresh_state(self) -> dict[str, Any]:
        """Give the state that DSPy would save before any compiling."""
        states = {name: deepcopy(dict(shape.fresh)) for name, shape in self.predictors.items()}
        (first, *_) = states.values()
        document: dict[str, Any] = first if self.is_flat else dict(states)
        return {**document, METADATA: self._metadata()}

    def read_state(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Give a state that fits, complete enough for DSPy to load; StateError names every fault.

        An LM in it becomes null: a program's LM is the operator's.
        """
        try:
            ThoroughValidator(self._schema()).validate(document)
        except ValidationError as error:
            raise StateError(faults_of(error)) from None
        completed = (
            _completed(document)
            if self.is_flat
            else {name: _completed(document[name]) for name in self.predictors}
        )
        return {**completed, METADATA: document.get(METADATA, {"dependency_versions": {}})}

    def _metadata(self) -> dict[str, Any]:
        return {"dependency_versions": dict(self.versions)}

    def _schema(self) -> CoreSchema:
        members = {name: _predictor_members(shape) for name, shape in self.predictors.items()}
        versions = core_schema.dict_schema(text_schema(), text_schema())
        metadata = object_schema(
            {"dependency_versions": versions}, optional={"dependency_versions"}
        )
        if self.is_flat:
            (flat,) = members.values()
            return object_schema({**flat, METADATA: metadata}, optional={*_OPTIONAL, METADATA})
        predictors = {
            name: object_schema(inner, optional=_OPTIONAL) for name, inner in members.items()
        }
        return object_schema({**predictors, METADATA: metadata}, optional={METADATA})


_OPTIONAL = {*_UNUSED, "demos", "lm"}


def _predictor_members(shape: PredictorShape) -> dict[str, CoreSchema]:
    demo = dict.fromkeys((*shape.fields, *_MARKS), json_value_schema())
    field = object_schema({"prefix": text_schema(), "description": text_schema()})
    count = len(shape.fields)
    signature = {
        "instructions": text_schema(),
        "fields": list_schema(field, min_length=count, max_length=count),
    }
    return {
        **{name: list_schema(json_value_schema()) for name in _UNUSED},
        "demos": list_schema(object_schema(demo, optional=demo)),
        "signature": object_schema(signature),
        "lm": core_schema.nullable_schema(_lm()),
    }


def _lm() -> CoreSchema:
    """An LM as `dspy.LM` writes it, with no name of other code in it."""
    members = {
        "_dspy_lm_class": core_schema.typed_dict_field(
            core_schema.literal_schema([DSPY_LM]), required=False
        ),
        "engine": core_schema.typed_dict_field(text_schema(), required=False),
    }
    return core_schema.typed_dict_schema(members, extra_behavior="ignore")


def _completed(state: Mapping[str, Any]) -> dict[str, Any]:
    return {"traces": [], "train": [], "demos": [], **state, "lm": None}
