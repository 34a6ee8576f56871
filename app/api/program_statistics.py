"""The route of a program's statistics."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.auth import READ_RUNS, needs
from app.api.contract_route import ContractRoute
from app.api.deps import ProgramId, RuntimeDep
from app.api.executions import Usage
from app.api.problems import problem_responses
from app.api.views import Instant, View
from app.errors import ProgramNotFoundError
from app.models.states import ExecutionStatus

router = APIRouter(prefix="/v1/programs", tags=["programs"], route_class=ContractRoute)

LONGEST_WINDOW_MS = 100 * 366 * 24 * 3_600_000


class Durations(View):
    """Milliseconds of the executions that have ended; null where there are none."""

    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None


class ProgramStatistics(View):
    """How a program's executions went.

    The count and the time are those of its whole life; the rest is reckoned over the records that
    are kept.
    """

    execution_count: int
    last_executed_at: Instant | None
    by_status: dict[ExecutionStatus, int]
    by_error: dict[str, int]
    duration_ms: Durations
    usage: Usage


@router.get("/{program_id}/statistics", responses=problem_responses(ProgramNotFoundError))
@needs(READ_RUNS)
async def get_program_statistics(
    program_id: ProgramId,
    runtime: RuntimeDep,
    window_ms: Annotated[
        int | None,
        Query(ge=1, le=LONGEST_WINDOW_MS, description="Only executions made so lately."),
    ] = None,
) -> ProgramStatistics:
    async with runtime.database.transaction() as tx:
        program = await tx.programs.get(program_id)
        figures = await tx.statistics.of_program(program_id, window_ms)
    return ProgramStatistics.model_validate(
        {
            "execution_count": program.execution_count,
            "last_executed_at": program.last_executed_at,
            **vars(figures),
        }
    )
