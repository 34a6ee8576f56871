"""What DSPy's errors mean in the vocabulary of adapters."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dspy.utils import exceptions as dspy_errors  # type: ignore[import-untyped]

from app.adapters.dspy.calls import CallLog
from app.adapters.dspy.faults import parse_faults
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.redaction import quote


class Meaning(NamedTuple):
    """An error type, what to say, and whether the back-end's own words may follow."""

    type: ErrorType
    sentence: str
    quotes: bool = False


MEANINGS: Mapping[type[Exception], Meaning] = {
    dspy_errors.AdapterParseError: Meaning(
        ErrorType.OUTPUT_INVALID, "the model's answer does not hold the output fields"
    ),
    RecursionError: Meaning(ErrorType.OUTPUT_INVALID, "the model's answer is nested too deep"),
    dspy_errors.LMTransportError: Meaning(
        ErrorType.CONNECTION_FAILED,
        "the model server could not be reached, or the connection broke",
    ),
    dspy_errors.LMTimeoutError: Meaning(
        ErrorType.TIMEOUT, "the model server did not answer in time"
    ),
    dspy_errors.LMRateLimitError: Meaning(
        ErrorType.RATE_LIMITED, "the model server asks for fewer calls", quotes=True
    ),
    dspy_errors.LMServerError: Meaning(
        ErrorType.BACKEND_ERROR, "the model server failed", quotes=True
    ),
    dspy_errors.LMProviderError: Meaning(
        ErrorType.BACKEND_ERROR, "the model server failed", quotes=True
    ),
    dspy_errors.LMStreamAssemblyError: Meaning(
        ErrorType.BACKEND_ERROR, "the model server's answer was not complete"
    ),
    dspy_errors.LMAuthError: Meaning(
        ErrorType.AUTHENTICATION, "the model server refused the credentials"
    ),
    dspy_errors.LMBillingError: Meaning(
        ErrorType.AUTHENTICATION, "the account at the model server has no credit"
    ),
    dspy_errors.LMNotConfiguredError: Meaning(
        ErrorType.AUTHENTICATION, "the LM has no credentials in the settings"
    ),
    dspy_errors.LMLockTimeoutError: Meaning(
        ErrorType.BACKEND_ERROR, "the credentials were locked by another process"
    ),
    dspy_errors.LMInvalidRequestError: Meaning(
        ErrorType.INVALID_REQUEST, "the model server refused the request", quotes=True
    ),
    dspy_errors.LMUnsupportedModelError: Meaning(
        ErrorType.INVALID_REQUEST, "the model server does not serve this model", quotes=True
    ),
    dspy_errors.LMConfigurationError: Meaning(
        ErrorType.INVALID_REQUEST, "the LM does not take this configuration", quotes=True
    ),
    dspy_errors.ContextWindowExceededError: Meaning(
        ErrorType.CONTEXT_WINDOW_EXCEEDED,
        "the prompt is longer than the model's window",
        quotes=True,
    ),
    dspy_errors.LMUnsupportedFeatureError: Meaning(
        ErrorType.UNSUPPORTED, "the LM cannot do what the program asks for", quotes=True
    ),
    dspy_errors.LMCollectionLimitError: Meaning(
        ErrorType.UNEXPECTED, "the model's answer was longer than DSPy collects"
    ),
    dspy_errors.LMUnexpectedError: Meaning(
        ErrorType.UNEXPECTED, "the call of the model failed in a way that DSPy does not know"
    ),
    dspy_errors.LMError: Meaning(ErrorType.UNEXPECTED, "the call of the model failed"),
    dspy_errors.DSPyError: Meaning(ErrorType.UNEXPECTED, "DSPy failed"),
    Exception: Meaning(ErrorType.UNEXPECTED, "the program failed"),
}
"""One line for each class; an error means what the nearest of its classes means."""

OVERLOADED = Meaning(ErrorType.OVERLOADED, "the model server has no capacity now", quotes=True)
OVERLOADED_STATUSES = frozenset({503, 529})


def adapter_error(error: Exception, log: CallLog, secrets: Iterable[str] = ()) -> AdapterError:
    """Say an error of DSPy as adapters do, with what the call cost and what the model said."""
    meaning = meaning_of(error)
    text = meaning.sentence
    said = _words(error) if meaning.quotes else ""
    if said:
        text = f"{text}: {quote(said, secrets)}"
    if meaning.type is ErrorType.UNEXPECTED:
        text = f"{text} ({type(error).__name__})"
    return AdapterError(
        meaning.type,
        text,
        context=_context(error),
        retry_after=getattr(error, "retry_after", None),
        raw_output=log.completion if meaning.type is ErrorType.OUTPUT_INVALID else None,
        usage=log.usage,
    )


def meaning_of(error: Exception) -> Meaning:
    """Find what an error means: by its status where it is overload, else by its class."""
    if getattr(error, "status", None) in OVERLOADED_STATUSES:
        return OVERLOADED
    return next(MEANINGS[kind] for kind in type(error).__mro__ if kind in MEANINGS)


def _words(error: Exception) -> str:
    # lm15 appends advice for people at a terminal to some messages.
    return str(getattr(error, "message", "")).partition("\n\n")[0]


def _context(error: Exception) -> dict[str, object]:
    members = {"status": getattr(error, "status", None)}
    if isinstance(error, dspy_errors.AdapterParseError):
        members["faults"] = [fault.as_document() for fault in parse_faults(error)]
    return {name: value for name, value in members.items() if value is not None}
