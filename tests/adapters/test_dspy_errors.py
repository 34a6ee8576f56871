"""DSPy's errors in the vocabulary of adapters: every class has its line."""

import inspect
from typing import Any

import dspy  # type: ignore[import-untyped]
import pytest
from dspy.utils import exceptions  # type: ignore[import-untyped]

from app.adapters.dspy.calls import CallLog
from app.adapters.dspy.errors import MEANINGS, adapter_error
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.usage import Usage
from tests.adapters.programs import a_call
from tests.support.clock import ManualClock

CLASSES = {
    name: kind
    for name, kind in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(kind, Exception)
}

ADVICE = "No such model sk-1.\n\n  To fix:\n    - Pass the key explicitly (api_key)"


def translated(error: Exception) -> AdapterError:
    """Translate an error of a call that was asked once and said something."""
    log = CallLog(a_call(), ManualClock())
    log.asked()
    log.answered(["I would rather not."])
    return adapter_error(error, log, ["sk-1"])


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_every_class_has_its_line(kind: type[Exception]) -> None:
    """A class that DSPy adds shows here first."""
    assert kind in MEANINGS


@pytest.mark.parametrize(
    ("error", "error_type"),
    [
        (exceptions.LMTransportError("x"), ErrorType.CONNECTION_FAILED),
        (exceptions.LMTimeoutError("x"), ErrorType.TIMEOUT),
        (exceptions.LMRateLimitError("x", status=429), ErrorType.RATE_LIMITED),
        (exceptions.LMServerError("x", status=500), ErrorType.BACKEND_ERROR),
        (exceptions.LMServerError("x", status=503), ErrorType.OVERLOADED),
        (exceptions.LMProviderError("x", status=529), ErrorType.OVERLOADED),
        (exceptions.LMProviderError("x"), ErrorType.BACKEND_ERROR),
        (exceptions.LMStreamAssemblyError("x"), ErrorType.BACKEND_ERROR),
        (exceptions.LMLockTimeoutError("x"), ErrorType.BACKEND_ERROR),
        (exceptions.LMAuthError("x"), ErrorType.AUTHENTICATION),
        (exceptions.LMBillingError("x"), ErrorType.AUTHENTICATION),
        (exceptions.LMNotConfiguredError("x"), ErrorType.AUTHENTICATION),
        (exceptions.LMInvalidRequestError("x"), ErrorType.INVALID_REQUEST),
        (exceptions.LMUnsupportedModelError("x"), ErrorType.INVALID_REQUEST),
        (exceptions.LMConfigurationError("x"), ErrorType.INVALID_REQUEST),
        (exceptions.ContextWindowExceededError(), ErrorType.CONTEXT_WINDOW_EXCEEDED),
        (exceptions.LMUnsupportedFeatureError("x"), ErrorType.UNSUPPORTED),
        (exceptions.LMCollectionLimitError("x"), ErrorType.UNEXPECTED),
        (exceptions.LMUnexpectedError("x"), ErrorType.UNEXPECTED),
        (exceptions.LMError("x"), ErrorType.UNEXPECTED),
        (exceptions.DSPyError("x"), ErrorType.UNEXPECTED),
        (RecursionError("x"), ErrorType.OUTPUT_INVALID),
        (KeyError("x"), ErrorType.UNEXPECTED),
    ],
    ids=lambda value: type(value).__name__ + str(getattr(value, "status", "")),
)
def test_means_what_it_says(error: Exception, error_type: ErrorType) -> None:
    """Each class becomes one type, with the usage of the call."""
    failure = translated(error)
    assert failure.type is error_type
    assert failure.usage == Usage(lm_calls=1)


class LMQuantumError(exceptions.LMServerError):  # type: ignore[misc]
    """What a future DSPy may raise."""


def test_means_what_its_nearest_class_means() -> None:
    """A class that is not in the table means what its base means."""
    assert translated(LMQuantumError("x")).type is ErrorType.BACKEND_ERROR


def test_quotes_without_secrets_and_advice() -> None:
    """The back-end's words follow, cut where advice for a terminal begins."""
    failure = translated(exceptions.LMUnsupportedModelError(ADVICE, status=404))
    assert failure.message == "the model server does not serve this model: No such model …."
    assert failure.context == {"status": 404}


def test_quotes_nothing_about_credentials() -> None:
    """Servers repeat parts of keys in such messages."""
    failure = translated(exceptions.LMAuthError("Incorrect API key: sk-…xyz", status=401))
    assert failure.message == "the model server refused the credentials"


def test_passes_on_how_long_to_wait() -> None:
    """The wish of the server stays in seconds."""
    assert translated(exceptions.LMRateLimitError("x", retry_after=3.5)).retry_after == 3.5


def parse_error(parsed: Any) -> Exception:
    """Give what DSPy raises where fields are missing."""
    signature = dspy.Signature(
        {
            "question": (str, dspy.InputField()),
            "answer": (str, dspy.OutputField()),
            "score": (float, dspy.OutputField()),
        },
        "Answer.",
    )
    error: Exception = exceptions.AdapterParseError(
        adapter_name="JSONAdapter",
        signature=signature,
        lm_response="I would rather not.",
        parsed_result=parsed,
    )
    return error


@pytest.mark.parametrize(
    ("parsed", "faults"),
    [
        ({"answer": "x"}, [("/score", "missing", "score is missing")]),
        (None, [("", "unreadable", "Adapter JSONAdapter failed to parse the LM response. ")]),
    ],
)
def test_an_answer_that_does_not_fit(parsed: Any, faults: list[tuple[str, str, str]]) -> None:
    """What the model said is kept apart from the message; the faults name their places."""
    failure = translated(parse_error(parsed))
    assert failure.type is ErrorType.OUTPUT_INVALID
    assert failure.raw_output == "I would rather not."
    told = failure.context["faults"]
    assert [(fault["path"], fault["code"], fault["message"]) for fault in told] == faults
    assert "rather not" not in failure.message
