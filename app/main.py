"""The application: routers, lifespan and problem handlers; nothing happens at import."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from app.api import (
    adapters,
    batch_deliveries,
    batch_events,
    batch_results,
    batch_uploads,
    batches,
    cleanup,
    executions,
    health,
    lms,
    metrics,
    probes,
    problem_pages,
    program_executions,
    program_openapi,
    program_states,
    program_statistics,
    programs,
    signature_checks,
    signatures,
)
from app.api.admission import AdmissionMiddleware
from app.api.answer_headers import AnswerHeadersMiddleware
from app.api.cors import allow_origins
from app.api.docs import install_docs
from app.api.draining import DrainingMiddleware
from app.api.hosts import HostMiddleware
from app.api.observation import ObservationMiddleware
from app.api.openapi import install_openapi
from app.api.paths import is_of_api
from app.api.problems import install_problem_handlers
from app.api.request_id import RequestIdMiddleware
from app.api.responses import JSONResponse
from app.runtime import VERSION, Runtime, open_runtime
from app.settings import Settings

ROUTERS = (
    program_executions.router,  # first asked, since most requests are for it
    executions.router,
    batch_uploads.router,  # before the other route of its path
    batches.router,
    batch_deliveries.router,
    batch_events.router,
    batch_results.router,
    signatures.router,
    signature_checks.router,
    programs.router,
    program_states.router,
    program_openapi.router,
    program_statistics.router,
    adapters.router,
    lms.router,
    health.router,
    cleanup.router,
    probes.router,
    metrics.router,
    problem_pages.router,
)
PROBES = (probes.router, metrics.router, problem_pages.router)
"""What a process answers that has no API."""

TAGS = [
    {"name": "signatures", "description": "Named, versioned, typed contracts of programs."},
    {"name": "programs", "description": "Signatures on a module, an adapter, a configuration."},
    {"name": "executions", "description": "Runs of programs, and their records."},
    {"name": "adapters", "description": "Back-ends that run programs, and their LMs."},
    {"name": "batches", "description": "Many runs of a program, on many inputs."},
    {"name": "health", "description": "What a process says of itself and of what it stands on."},
    {"name": "cleanup", "description": "What died or has expired, found and mended."},
    {"name": "probes", "description": "What Kubernetes and Prometheus ask."},
    {"name": "problems", "description": "What the types of problems mean."},
]


def create_app(
    settings: Settings, runtime: Runtime | None = None, routers: Sequence[APIRouter] = ROUTERS
) -> FastAPI:
    """Build the application; its lifespan opens a runtime where it is given none."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_runtime(settings) as app.state.runtime:
            yield

    app = FastAPI(
        title="Dspatch",
        version=VERSION,
        description="The production runtime for DSPy programs.",
        servers=[{"url": "/", "description": "The server that answers this document."}],
        openapi_tags=TAGS,
        lifespan=lifespan,
        default_response_class=JSONResponse,
        generate_unique_id_function=_operation_id,
        strict_content_type=False,
        telemetry={
            "logs": False,
            "operation_spans": False,
            "exclude": lambda scope: not is_of_api(scope),
        },
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.runtime = runtime
    for router in routers:
        app.include_router(router)
    install_problem_handlers(app)
    install_openapi(app)
    install_docs(app)
    _add_middleware(app, settings)
    return app


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """Add what every request passes through, from the inside out."""
    of = settings.server
    app.add_middleware(DrainingMiddleware)
    app.add_middleware(AdmissionMiddleware, most=settings.limits.concurrent_requests)
    if of.allowed_hosts:
        app.add_middleware(HostMiddleware, allowed=of.allowed_hosts)
    app.add_middleware(AnswerHeadersMiddleware)
    if of.cors_origins:
        allow_origins(app, of.cors_origins)
    app.add_middleware(ObservationMiddleware)
    app.add_middleware(RequestIdMiddleware)


def _operation_id(route: APIRoute) -> str:
    return route.name
