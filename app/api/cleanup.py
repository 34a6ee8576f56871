"""The route of the cleanup: what died or has expired, found and mended."""

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from app.actions.resource_cleanup import CleanupInput
from app.actions.resource_cleanup.category import CategoryName
from app.api.auth import ADMIN, READ, needs
from app.api.contract_route import ContractRoute
from app.api.deps import CallerDep, RuntimeDep
from app.api.views import Instant, RequestBody, View

router = APIRouter(prefix="/v1/cleanup", tags=["cleanup"], route_class=ContractRoute)


class Cleanup(RequestBody):
    """What to look for, and whether it is mended, too."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"dry_run": True, "categories": ["stalled_batches"]}]}
    )

    dry_run: bool = Field(default=True, strict=True, description="Change nothing.")
    categories: list[CategoryName] | None = Field(
        default=None, min_length=1, description="All, where it is left out."
    )


class CategoryView(View):
    """What became of one category."""

    found: int
    removed: int = Field(description="Removed or mended; 0 in a dry run.")
    kept: int
    reasons: dict[str, int] = Field(description="Why they were kept, and how many for each reason.")
    bytes_freed: int
    duration_ms: float
    errors: list[str] = Field(description="Why it did not come to its end.")


class CleanupSummaryView(View):
    """All categories together."""

    found: int
    removed: int
    kept: int
    bytes_freed: int
    errors: int


class CleanupView(View):
    """What a cleanup found and did; in a dry run `found - kept` would go."""

    timestamp: Instant
    dry_run: bool
    duration_ms: float
    categories: dict[CategoryName, CategoryView]
    summary: CleanupSummaryView


@router.post("")
@needs(READ)
async def clean_up(body: Cleanup, runtime: RuntimeDep, caller: CallerDep) -> CleanupView:
    """Look for what died or has expired; without `dry_run`, which needs `admin`, mend it.

    A category that fails says so in the report and does not stop the others. One takes half a
    minute at most: what is left then is for the next time.
    """
    if not body.dry_run:
        ADMIN.require(caller)
    report = await runtime.clean_up(CleanupInput(body.categories, body.dry_run))
    return CleanupView.model_validate(report)
