"""The probes of Kubernetes: alive, ready, started."""

from typing import Any, Literal

from fastapi import APIRouter, Response

from app.adapters.registry import AdapterRegistry
from app.api.auth import OPEN, needs
from app.api.contract_route import ContractRoute
from app.api.deps import RuntimeDep
from app.api.views import View
from app.runtime import WARM_UP

MOST_CLOCK_OFFSET_S = 5.0

router = APIRouter(tags=["probes"], route_class=ContractRoute)


class Probe(View):
    """What a probe found; `checks` says `ok` or what is wrong."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, str]


_UNAVAILABLE: dict[int | str, dict[str, Any]] = {
    503: {"description": "Not now: `checks` says why.", "model": Probe}
}


@router.get("/livez")
@needs(OPEN)
async def get_liveness() -> Probe:
    """Answer while the event loop turns; nothing else is looked at."""
    return Probe(status="ok", checks={"event_loop": "ok"})


@router.get("/readyz", responses=_UNAVAILABLE)
@needs(OPEN)
async def get_readiness(runtime: RuntimeDep, response: Response) -> Probe:
    """Look at what a request needs: the database, its schema, an adapter, a clock that agrees."""
    if runtime.drain.has_begun:
        return _answer(response, {"server": "draining"})
    checks = {
        **await runtime.is_ready(),
        "adapters": _adapters(runtime.adapters),
        "clock": _clock(runtime.clock_offset_s),
    }
    return _answer(response, checks)


@router.get("/startupz", responses=_UNAVAILABLE)
@needs(OPEN)
async def get_startup(runtime: RuntimeDep, response: Response) -> Probe:
    """Answer 200 once the schema has been checked and the adapters are warm."""
    is_warm = runtime.background.is_done(WARM_UP)
    return _answer(response, {"schema": "ok", "warm_up": "ok" if is_warm else "under way"})


def _adapters(adapters: AdapterRegistry) -> str:
    return "ok" if adapters.lets_calls_pass() else "The breaker of every adapter is open."


def _clock(offset_s: float) -> str:
    if abs(offset_s) <= MOST_CLOCK_OFFSET_S:
        return "ok"
    return f"The database's clock was {offset_s:+.0f} s off this machine's at the start."


def _answer(response: Response, checks: dict[str, str]) -> Probe:
    if all(found == "ok" for found in checks.values()):
        return Probe(status="ok", checks=checks)
    response.status_code = 503
    return Probe(status="unavailable", checks=checks)
