"""The route of language models: which there are, and what they may be asked."""

from fastapi import APIRouter
from pydantic import Field

from app.api.auth import READ, needs
from app.api.contract_route import ContractRoute
from app.api.deps import RuntimeDep
from app.api.views import View

router = APIRouter(prefix="/v1/lms", tags=["adapters"], route_class=ContractRoute)


class LMLimits(View):
    """How much an LM may be asked."""

    max_concurrency: int = Field(description="Calls of one process in flight at once.")
    timeout_ms: int = Field(description="The longest that one call may take.")


class LMView(View):
    """A language model that programs may name; where it is and its key stay with the operator."""

    name: str
    model: str = Field(examples=["openai/gpt-4o-mini"])
    limits: LMLimits


class LMList(View):
    """Every LM of the settings."""

    items: list[LMView]


@router.get("")
@needs(READ)
async def list_lms(runtime: RuntimeDep) -> LMList:
    items = [
        LMView(name=name, model=lm.model, limits=LMLimits.model_validate(lm))
        for name, lm in sorted(runtime.settings.lms.items())
    ]
    return LMList(items=items)
