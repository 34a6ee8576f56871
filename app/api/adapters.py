"""The routes of adapters: how they stand in the process that answers."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import Field, field_validator

from app.adapters.guarded import AdapterStatus, GuardedAdapter
from app.adapters.registry import UnknownAdapterError
from app.api.auth import ADMIN, EXECUTE, READ, needs
from app.api.contract_route import ContractRoute
from app.api.deps import PageDep, RuntimeDep
from app.api.problems import problem_responses
from app.api.views import Instant, View
from app.errors import AdapterNotFoundError, AdapterUnavailableError
from app.policies.breaker import BreakerState
from app.runtime import Runtime

router = APIRouter(prefix="/v1/adapters", tags=["adapters"], route_class=ContractRoute)


class BreakerView(View):
    """What leaves an adapter alone that fails; each process has its own."""

    state: BreakerState
    failures: int = Field(description="Failures in a row, up to now.")
    opens: int = Field(description="How often it has opened since the process was started.")
    retry_at: Instant | None = Field(
        description="When an open one lets a call pass that tries the back-end; else null."
    )


class AdapterLimits(View):
    """How much the adapter is called in the process that answers."""

    max_concurrency: int | None = Field(description="Calls at once; null is without limit.")
    max_wait_ms: float = Field(
        validation_alias="max_wait_s", description="How long an interactive call waits at most."
    )

    @field_validator("max_wait_ms")
    @classmethod
    def _in_milliseconds(cls, seconds: float) -> float:
        return seconds * 1_000


class AdapterView(View):
    """A back-end that can run programs, as it stands in the process that answers."""

    name: str
    kind: str
    capabilities: list[str] = Field(description="The operations that it has.")
    status: AdapterStatus = Field(
        description="By its last call or check: `unknown` before the first, `healthy`, `error`; "
        "`warning` while its breaker is half open, `error` while it is open."
    )
    breaker: BreakerView
    in_flight: int
    limits: AdapterLimits
    members: list[str] | None = Field(
        default=None,
        exclude_if=lambda members: members is None,
        validation_alias="member_names",
        description="The adapters that a combination is made of; others have no such member.",
    )


class AdapterList(View):
    """Every adapter of the settings, and the built-in ones."""

    items: list[AdapterView]


class AdapterCheck(View):
    """What a health check found just now."""

    name: str
    status: AdapterStatus = Field(description="`healthy` or `error`.")
    latency_ms: float
    error: str | None = Field(description="Why it could not run programs.")


class HeldProgram(View):
    """A program that an adapter holds prepared, at its newest revision there."""

    program_id: UUID
    revision: int
    name: str


class HeldProgramList(View):
    """One page of programs, newest first."""

    items: list[HeldProgram]
    next_cursor: str | None


AdapterName = Annotated[str, Path(description="The operator's name for it.", examples=["dspy"])]


def _named(name: str, runtime: Runtime) -> GuardedAdapter:
    try:
        return runtime.adapters.get(name)
    except UnknownAdapterError as error:
        raise AdapterNotFoundError(f"{error}.") from None


@router.get("")
@needs(READ)
async def list_adapters(runtime: RuntimeDep) -> AdapterList:
    adapters = runtime.adapters
    items = [AdapterView.model_validate(adapters.get(name)) for name in adapters.names()]
    return AdapterList(items=items)


@router.get("/{name}", responses=problem_responses(AdapterNotFoundError))
@needs(READ)
async def get_adapter(name: AdapterName, runtime: RuntimeDep) -> AdapterView:
    return AdapterView.model_validate(_named(name, runtime))


@router.post("/{name}/check", responses=problem_responses(AdapterNotFoundError))
@needs(EXECUTE)
async def check_adapter(name: AdapterName, runtime: RuntimeDep) -> AdapterCheck:
    """Ask its back-end now whether it could run programs, whatever the breaker says."""
    health = await _named(name, runtime).health_check()
    status = AdapterStatus.HEALTHY if health.healthy else AdapterStatus.ERROR
    return AdapterCheck(name=name, status=status, latency_ms=health.latency_ms, error=health.error)


@router.post("/{name}/reset", responses=problem_responses(AdapterNotFoundError))
@needs(ADMIN)
async def reset_adapter(name: AdapterName, runtime: RuntimeDep) -> AdapterView:
    """Close its breaker, in the process that answers."""
    adapter = _named(name, runtime)
    adapter.reset()
    return AdapterView.model_validate(adapter)


@router.get(
    "/{name}/programs", responses=problem_responses(AdapterNotFoundError, AdapterUnavailableError)
)
@needs(READ)
async def list_adapter_programs(
    name: AdapterName, runtime: RuntimeDep, page: PageDep
) -> HeldProgramList:
    held = await runtime.list_held_programs(_named(name, runtime), page)
    return HeldProgramList.model_validate(held)
