"""The routes of programs' compiled states."""

from typing import Any

from fastapi import APIRouter
from pydantic import ConfigDict, RootModel

from app.api.auth import MANAGE, READ_RUNS, needs
from app.api.contract_route import ContractRoute
from app.api.deps import ProgramId, RuntimeDep
from app.api.problems import problem_responses
from app.api.programs import Program, program_view
from app.api.views import Document
from app.errors import (
    InvalidStateError,
    InvalidTransitionError,
    ProgramNotFoundError,
    StateUnavailableError,
)

router = APIRouter(prefix="/v1/programs", tags=["programs"], route_class=ContractRoute)

_EXAMPLE: Any = {
    "traces": [],
    "train": [],
    "demos": [{"question": "What is 2 + 2?", "answer": "4"}],
    "signature": {
        "instructions": "Answer in one word.",
        "fields": [
            {"prefix": "Question:", "description": "${question}"},
            {"prefix": "Answer:", "description": "${answer}"},
        ],
    },
    "lm": None,
    "metadata": {"dependency_versions": {"python": "3.11", "dspy": "3.4.1", "cloudpickle": "3.1"}},
}


class ProgramState(RootModel[Document]):
    """A compiled state as DSPy's `save` writes it in JSON.

    `predict` has its state at the top; other modules have one for each predictor, by its name.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})


@router.get(
    "/{program_id}/state",
    response_model=ProgramState,
    responses=problem_responses(ProgramNotFoundError, StateUnavailableError),
)
@needs(READ_RUNS)
async def get_program_state(program_id: ProgramId, runtime: RuntimeDep) -> dict[str, Any]:
    return await runtime.read_state(program_id)


@router.put(
    "/{program_id}/state",
    responses=problem_responses(
        ProgramNotFoundError, InvalidTransitionError, StateUnavailableError, InvalidStateError
    ),
)
@needs(MANAGE)
async def put_program_state(
    program_id: ProgramId, body: ProgramState, runtime: RuntimeDep
) -> Program:
    return await program_view(runtime, await runtime.upload_state(program_id, body.root))
