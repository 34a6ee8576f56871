"""The route of health: how this process is, and what it stands on."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.actions.health_monitoring import HealthMonitoringInput
from app.actions.health_monitoring.check import CheckLevel
from app.api.auth import READ, needs
from app.api.contract_route import ContractRoute
from app.api.deps import RuntimeDep
from app.api.health_views import HealthReport

router = APIRouter(prefix="/v1/health", tags=["health"], route_class=ContractRoute)


@router.get("")
@needs(READ)
async def get_health(
    runtime: RuntimeDep,
    check_level: Annotated[
        CheckLevel, Query(description="How much to look at.")
    ] = CheckLevel.STANDARD,
    *,
    include_metrics: Annotated[
        bool, Query(description="Tell the metrics of this process beside.")
    ] = False,
) -> HealthReport:
    """Run the checks of a level, now; the answer is 200 whatever they find.

    `deep` has each adapter run a small program, which really calls its model, once.
    """
    report = await runtime.monitor_health(HealthMonitoringInput(check_level, include_metrics))
    return HealthReport.model_validate(report)
