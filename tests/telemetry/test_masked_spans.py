from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from app.telemetry.masked_spans import MaskingProcessor
from app.telemetry.masking import Mask


def test_a_span_begins_without_secrets() -> None:
    """Whatever a client has written into its request; the rest stays as it is."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(MaskingProcessor(Mask(["canary word"])))
    attributes: dict[str, str | int] = {
        "url.path": "/v1/dsp_Ab12cd34_Y2FuYXJ5",
        "url.query": "said=canary%20word",
        "http.request.method": "GET",
        "server.port": 80,
    }
    span = provider.get_tracer("test").start_span("GET", attributes=attributes)
    assert isinstance(span, ReadableSpan)
    assert dict(span.attributes or {}) == {
        "url.path": "/v1/…",
        "url.query": "said=…",
        "http.request.method": "GET",
        "server.port": 80,
    }
