"""What routes ask for.

All are coroutines: FastAPI would run a plain function in a thread, twice for each request.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Request

from app.actions.keyring import Caller
from app.runtime import Runtime
from app.stores.pages import Page

LONGEST_WAIT_MS = 60_000


async def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


async def _page(
    limit: Annotated[int, Query(ge=1, le=200, description="Rows of a page.")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=64, description="`next_cursor` of the page before.")
    ] = None,
) -> Page:
    return Page(limit, cursor)


async def _wait_s(
    wait_ms: Annotated[
        int,
        Query(ge=0, description="How long to wait for its end; more than 60 000 is cut."),
    ] = 0,
) -> float:
    return min(wait_ms, LONGEST_WAIT_MS) / 1_000


async def _caller(request: Request) -> Caller:
    caller: Caller = request.scope["state"]["caller"]
    return caller


RuntimeDep = Annotated[Runtime, Depends(_runtime)]
PageDep = Annotated[Page, Depends(_page)]
WaitDep = Annotated[float, Depends(_wait_s)]
"""How long a client waits for an end, in seconds."""

CallerDep = Annotated[Caller, Depends(_caller)]
SignatureId = Annotated[UUID, Path()]
ProgramId = Annotated[UUID, Path()]
ExecutionId = Annotated[UUID, Path()]
BatchId = Annotated[UUID, Path()]
