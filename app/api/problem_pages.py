"""The pages behind the `type` of every problem."""

from fastapi import APIRouter
from starlette.responses import PlainTextResponse

from app.api.auth import OPEN, needs
from app.api.contract_route import ContractRoute
from app.api.problems import problem_page, problem_responses
from app.errors import NotFoundError

router = APIRouter(prefix="/problems", tags=["problems"], route_class=ContractRoute)


class MarkdownResponse(PlainTextResponse):
    """Text for people, in UTF-8."""

    media_type = "text/markdown"


@router.get("/{slug}", response_class=MarkdownResponse, responses=problem_responses(NotFoundError))
@needs(OPEN)
async def get_problem_page(slug: str) -> MarkdownResponse:
    """Explain a type of problem, in Markdown."""
    return MarkdownResponse(problem_page(slug))
