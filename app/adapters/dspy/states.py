"""Compiled states on DSPy's modules: what a module would save, and a state set by our own hand.

DSPy's `load_state` sets any attribute and takes over an LM; it is never called.
"""

from collections.abc import Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import Any

import dspy  # type: ignore[import-untyped]
from dspy.utils.saving import get_dependency_versions  # type: ignore[import-untyped]

from app.signatures.states import ModuleShape, PredictorShape

_FLAT = "self"
"""DSPy's own name of a module that is a predictor itself: its state stands at the top."""


def module_shape(module: Any) -> ModuleShape:
    """Say what the state of a freshly built module holds."""
    shapes = {
        name: PredictorShape(tuple(predictor.signature.fields), predictor.dump_state())
        for name, predictor in _predictors(module).items()
    }
    return ModuleShape(
        MappingProxyType(shapes), get_dependency_versions(), is_flat=_is_flat(module)
    )


def apply_state(module: Any, state: Mapping[str, Any]) -> None:
    """Give a freshly built module its instructions, demos, prefixes and descriptions."""
    for name, predictor in _predictors(module).items():
        compiled = state if _is_flat(module) else state[name]
        predictor.signature = _compiled_signature(predictor.signature, compiled["signature"])
        predictor.demos = deepcopy(compiled["demos"])


def _compiled_signature(signature: Any, compiled: Mapping[str, Any]) -> Any:
    fields = deepcopy(signature.fields)
    for field, told in zip(fields.values(), compiled["fields"], strict=True):
        field.json_schema_extra["prefix"] = told["prefix"]
        field.json_schema_extra["desc"] = told["description"]
    return dspy.Signature(fields, compiled["instructions"])


def _predictors(module: Any) -> Mapping[str, Any]:
    return {_FLAT: module} if _is_flat(module) else dict(module.named_parameters())


def _is_flat(module: Any) -> bool:
    return isinstance(module, dspy.Predict)
