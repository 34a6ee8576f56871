"""Sending spans and figures to the operator's collector, as the `OTEL_*` variables say.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ has them. Nothing
is sent, and nothing of the SDK is loaded, where they name no endpoint.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

from opentelemetry import metrics, trace

from app.telemetry.masking import Mask

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SPANS_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
FIGURES_ENDPOINT = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"

LAST_WORD_S = 2.0
"""How long a process that ends goes on sending what it has not sent yet."""


@asynccontextmanager
async def exporting(
    version: str, environment: Mapping[str, str], mask: Mask, last_word_s: float = LAST_WORD_S
) -> AsyncIterator[None]:
    """Send what is told inside, masked; a collector that is away delays and fails nothing."""
    providers = _providers(version, environment, mask)
    try:
        yield
    finally:
        # A thread of its own: what hangs in it holds up neither the loop nor the process's end.
        ending = Thread(target=_shut_down, args=(providers,), daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, last_word_s)


def _providers(
    version: str, environment: Mapping[str, str], mask: Mask
) -> Sequence["TracerProvider | MeterProvider"]:
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return []
    to_all = bool(environment.get(ENDPOINT))
    makes: dict[str, Callable[[Resource], TracerProvider | MeterProvider]]
    makes = {SPANS_ENDPOINT: partial(_send_spans, mask), FIGURES_ENDPOINT: _send_figures}
    wanted = [make for name, make in makes.items() if to_all or environment.get(name)]
    if not wanted:
        return []
    resource = _resource(version, environment)
    return [make(resource) for make in wanted]


def _resource(version: str, environment: Mapping[str, str]) -> "Resource":
    """Say who tells; the operator's name for the service wins."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - half a second

    is_named = "OTEL_SERVICE_NAME" in environment or "service.name=" in environment.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return Resource.create(
        {"service.version": version} | ({} if is_named else {"service.name": "dspatch"})
    )


def _send_spans(mask: Mask, resource: "Resource") -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - as above
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above

    from app.telemetry.masked_spans import MaskingProcessor  # noqa: PLC0415 - as above

    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(MaskingProcessor(mask))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


def _send_figures(resource: "Resource") -> "MeterProvider":
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415 - as above
        OTLPMetricExporter,
    )
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415 - as above
        PeriodicExportingMetricReader,
    )

    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    provider = MeterProvider([reader], resource, shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    return provider


def _shut_down(providers: Sequence["TracerProvider | MeterProvider"]) -> None:
    for provider in providers:
        provider.shutdown()
