"""The route of language models: which there are, and what they may be asked."""

from fastapi import APIRouter
from pydantic import Field

from app.api.auth import READ, needs
from app.api.contract_route import ContractRoute
from app.api.deps import RuntimeDep
from app.api.views import View

router = APIRouter(prefix="/v1/lms", tags=["adapters"], route_class=ContractRoute)


class LMLimits(View):
    """How much an LM may be asked, by all processes together."""

    max_concurrency: int = Field(description="Calls in flight at once.")
    requests_per_minute: int | None = Field(description="Null is without limit.")
    tokens_per_minute: int | None = Field(description="Null is without limit.")
    interactive_share: float = Field(description="The part that is kept free of batches.")
    max_wait_ms: int = Field(description="How long an interactive call waits at most.")
    timeout_ms: int = Field(description="The longest that one call may take.")


class LMPart(View):
    """How much of that the process that answers may ask now; all live ones have the same."""

    max_concurrency: int
    requests_per_minute: int | None
    tokens_per_minute: int | None


class LMView(View):
    """A language model that programs may name; where it is and its key stay with the operator."""

    name: str
    model: str = Field(examples=["openai/gpt-4o-mini"])
    limits: LMLimits
    part: LMPart


class LMList(View):
    """Every LM of the settings."""

    items: list[LMView]


@router.get("")
@needs(READ)
async def list_lms(runtime: RuntimeDep) -> LMList:
    items = [
        LMView(
            name=name,
            model=lm.model,
            limits=LMLimits.model_validate(lm),
            part=LMPart.model_validate(runtime.lm_limiters[name].limits),
        )
        for name, lm in sorted(runtime.settings.lms.items())
    ]
    return LMList(items=items)
