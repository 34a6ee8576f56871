"""Which signature a Python object stands for."""

from typing import Any

import dspy  # type: ignore[import-untyped]
from pydantic.fields import FieldInfo


class NoSignatureError(Exception):
    """The object stands for no signature; the message says what it is."""


def find_signature(found: Any) -> Any:
    """Give the `dspy.Signature` class of what a module holds under a name.

    That is the class itself; a class of the module's own whose attributes are DSPy's input and
    output fields; a `dspy.Module` with one predictor; or whatever has one of them as `signature`.
    """
    if isinstance(found, type) and issubclass(found, dspy.Signature):
        return found
    if isinstance(found, type) and issubclass(found, dspy.Module):
        return _of_module(found())
    if isinstance(found, dspy.Module):
        return _of_module(found)
    if isinstance(found, type) and any(isinstance(of, FieldInfo) for of in vars(found).values()):
        return _of_fields(found)
    inner = getattr(found, "signature", None)
    if inner is None:
        raise NoSignatureError(f"{type(found).__name__} {_name(found)} is no signature")
    return find_signature(inner)


def _of_module(module: Any) -> Any:
    predictors = module.named_predictors()
    if len(predictors) != 1:
        names = ", ".join(name for name, _ in predictors) or "none"
        raise NoSignatureError(f"a module needs one predictor to stand for; it has: {names}")
    return predictors[0][1].signature


def _of_fields(plain: type) -> Any:
    fields = {
        name: (plain.__annotations__.get(name, str), of)
        for name, of in vars(plain).items()
        if isinstance(of, FieldInfo)
    }
    return dspy.Signature(fields, plain.__doc__ or "")


def _name(found: Any) -> str:
    return str(getattr(found, "__name__", ""))
