"""Spans without secrets: a request's path and query may hold whatever a client has put there."""

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor
from typing_extensions import override

from app.telemetry.masking import Mask


class MaskingProcessor(SpanProcessor):
    """Masks the attributes that a span begins with; those that are set later are our own words."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask

    @override
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        for name, value in dict(span.attributes or {}).items():
            if isinstance(value, str) and (masked := self._mask(value)) != value:
                span.set_attribute(name, masked)
