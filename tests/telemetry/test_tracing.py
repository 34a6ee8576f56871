"""What spans say of errors, and how others continue them."""

import asyncio

import pytest

from app.adapters.errors import AdapterError, ErrorType
from app.telemetry import current_trace_id
from app.telemetry.tracing import current_traceparent, execution_span, spanning, type_of
from tests.support.spans import ToldSpans, id_of


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (AdapterError(ErrorType.TIMEOUT, "Too late."), "timeout"),
        (asyncio.CancelledError(), "cancelled"),
        (ZeroDivisionError("one by nothing"), "ZeroDivisionError"),
    ],
)
def test_an_error_has_one_word(error: BaseException, word: str, spans: ToldSpans) -> None:
    """Ours where we have one, the name of its class where not; what it says is left out."""
    with pytest.raises(type(error)), spanning("work", {}):
        raise error
    told = spans.named_once("work")
    assert type_of(error) == word
    assert dict(told.attributes or {}) == {"error.type": word}
    assert not told.events


async def test_an_execution_names_its_trace(spans: ToldSpans) -> None:
    """In the log, and for another server that goes on with it."""
    assert current_traceparent() is None
    with execution_span("answerer", 3) as span:
        trace_id, traceparent = current_trace_id.get(), current_traceparent()
    told = spans.named_once("invoke_workflow answerer")
    assert trace_id == f"{span.get_span_context().trace_id:032x}"
    assert traceparent is not None
    assert traceparent.startswith(f"00-{trace_id}-{id_of(told):016x}-")
