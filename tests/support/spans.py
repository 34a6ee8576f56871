"""The spans that were told in a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanContext
from typing_extensions import override


class ToldSpans:
    """Spans in the order in which they ended."""

    def __init__(self) -> None:
        self.all: list[ReadableSpan] = []

    def named(self, start: str) -> list[ReadableSpan]:
        """Give the spans whose names begin so."""
        return [span for span in self.all if span.name.startswith(start)]

    def named_once(self, start: str) -> ReadableSpan:
        """Give the one span whose name begins so."""
        (found,) = self.named(start)
        return found


class _Keeper(SpanProcessor):
    """Keeps spans for the test that wants them."""

    told: ToldSpans | None = None

    @override
    def on_end(self, span: ReadableSpan) -> None:
        if self.told is not None:
            self.told.all.append(span)


@contextmanager
def collecting_spans() -> Iterator[ToldSpans]:
    """Keep what is told inside."""
    keeper = _keeper()
    keeper.told = told = ToldSpans()
    yield told
    keeper.told = None


@cache
def _keeper() -> _Keeper:
    """Make the keeper of this process, with a provider, of which OpenTelemetry takes one."""
    keeper, provider = _Keeper(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(keeper)
    trace.set_tracer_provider(provider)
    return keeper


def parent_of(span: ReadableSpan) -> int | None:
    """Give the id of a span's parent."""
    return None if span.parent is None else span.parent.span_id


def id_of(span: ReadableSpan) -> int:
    """Give a span's id."""
    return _context_of(span).span_id


def trace_of(span: ReadableSpan) -> int:
    """Give the id of the trace that a span is part of."""
    return _context_of(span).trace_id


def _context_of(span: ReadableSpan) -> SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context
