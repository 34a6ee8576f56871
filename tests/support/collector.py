"""A collector of OpenTelemetry that keeps what it is sent."""

from typing import Self

from aiohttp import web
from aiohttp.test_utils import unused_port
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """Takes spans and figures by OTLP over HTTP; `async with` starts and stops it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.spans: list[str] = []
        self.figures: set[str] = set()
        self.services: set[str] = set()
        self._port = unused_port()

    @property
    def address(self) -> str:
        """Where it listens while it is there."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/traces", self._take_spans)
        app.router.add_post("/v1/metrics", self._take_figures)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _take_spans(self, request: web.Request) -> web.Response:
        sent = ExportTraceServiceRequest.FromString(await self._read(request))
        for of_resource in sent.resource_spans:
            named = {one.key: one.value.string_value for one in of_resource.resource.attributes}
            self.services.add(named["service.name"])
            for scope in of_resource.scope_spans:
                self.spans += [span.name for span in scope.spans]
        return web.Response()

    async def _take_figures(self, request: web.Request) -> web.Response:
        sent = ExportMetricsServiceRequest.FromString(await self._read(request))
        for of_resource in sent.resource_metrics:
            for scope in of_resource.scope_metrics:
                self.figures |= {metric.name for metric in scope.metrics}
        return web.Response()

    async def _read(self, request: web.Request) -> bytes:
        self.bodies.append(await request.read())
        return self.bodies[-1]
