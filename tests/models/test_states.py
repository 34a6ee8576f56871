from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.states import (
    BATCH_MOVES,
    EXECUTION_MOVES,
    PROGRAM_MOVES,
    SIGNATURE_MOVES,
    BatchStatus,
    ExecutionStatus,
    ProgramStatus,
    SignatureStatus,
    batch_origins,
    execution_origins,
    program_origins,
    signature_origins,
)

Status = TypeVar("Status", bound=StrEnum)

TABLES: list[Mapping[StrEnum, frozenset[StrEnum]]] = [
    dict(PROGRAM_MOVES.items()),
    dict(EXECUTION_MOVES.items()),
    dict(SIGNATURE_MOVES.items()),
    dict(BATCH_MOVES.items()),
]


def reached(moves: Mapping[Status, frozenset[Status]], start: Status) -> set[Status]:
    """Find every state that `start` leads to, itself included."""
    found, ahead = set[Status](), {start}
    while ahead:
        state = ahead.pop()
        found.add(state)
        ahead |= moves[state] - found
    return found


@pytest.mark.parametrize("moves", TABLES, ids=["programs", "executions", "signatures", "batches"])
def test_every_state_has_its_moves(moves: Mapping[StrEnum, frozenset[StrEnum]]) -> None:
    """The table says of each state who may follow it, never itself."""
    assert set(moves) == set(type(next(iter(moves))))
    assert all(state not in following for state, following in moves.items())


@pytest.mark.parametrize("state", list(ProgramStatus))
def test_every_program_can_be_archived_and_stays_so(state: ProgramStatus) -> None:
    """Whatever a program is, it may be archived; nothing follows that."""
    assert state is ProgramStatus.ARCHIVED or ProgramStatus.ARCHIVED in PROGRAM_MOVES[state]
    assert reached(PROGRAM_MOVES, ProgramStatus.ARCHIVED) == {ProgramStatus.ARCHIVED}


def test_a_draft_leads_to_every_other_state() -> None:
    """No state of a program is out of reach, and none leads back to the draft."""
    assert reached(PROGRAM_MOVES, ProgramStatus.DRAFT) == set(ProgramStatus)
    assert program_origins(ProgramStatus.DRAFT) == []


@pytest.mark.parametrize(
    "state", [ExecutionStatus.COMPLETED, ExecutionStatus.FAILED, ExecutionStatus.CANCELLED]
)
def test_an_ended_execution_stays_as_it_ended(state: ExecutionStatus) -> None:
    """The final states have no moves, and each is within reach."""
    assert EXECUTION_MOVES[state] == frozenset()
    assert state in reached(EXECUTION_MOVES, ExecutionStatus.PENDING)


def test_an_execution_runs_before_it_completes() -> None:
    """Completed and failed come after running alone; what waits can be cancelled."""
    assert execution_origins(ExecutionStatus.COMPLETED) == [ExecutionStatus.RUNNING]
    assert execution_origins(ExecutionStatus.FAILED) == [ExecutionStatus.RUNNING]
    assert execution_origins(ExecutionStatus.RUNNING) == [ExecutionStatus.PENDING]
    waiting = {ExecutionStatus.PENDING, ExecutionStatus.RUNNING}
    assert set(execution_origins(ExecutionStatus.CANCELLED)) == waiting


@given(st.sampled_from(ProgramStatus), st.sampled_from(ProgramStatus))
def test_origins_of_programs_are_their_moves_seen_backwards(
    origin: ProgramStatus, target: ProgramStatus
) -> None:
    """A state is an origin of another where it may move there."""
    assert (origin in program_origins(target)) == (target in PROGRAM_MOVES[origin])


@given(st.sampled_from(ExecutionStatus), st.sampled_from(ExecutionStatus))
def test_origins_of_executions_are_their_moves_seen_backwards(
    origin: ExecutionStatus, target: ExecutionStatus
) -> None:
    """A state is an origin of another where it may move there."""
    assert (origin in execution_origins(target)) == (target in EXECUTION_MOVES[origin])


def test_a_signature_goes_one_way() -> None:
    """From draft to active to deprecated, no step left out and none back."""
    assert signature_origins(SignatureStatus.DRAFT) == []
    assert signature_origins(SignatureStatus.ACTIVE) == [SignatureStatus.DRAFT]
    assert signature_origins(SignatureStatus.DEPRECATED) == [SignatureStatus.ACTIVE]


@pytest.mark.parametrize(
    "state", [BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.CANCELLED]
)
def test_an_ended_batch_stays_as_it_ended(state: BatchStatus) -> None:
    """The final states have no moves, and each is within reach of every other."""
    assert BATCH_MOVES[state] == frozenset()
    living = {status for status in BatchStatus if BATCH_MOVES[status]}
    assert set(batch_origins(state)) == living


def test_a_batch_is_paused_before_it_is_resumed() -> None:
    """It runs, is paused and runs again; nothing leads back to the beginning."""
    assert batch_origins(BatchStatus.PENDING) == []
    assert batch_origins(BatchStatus.PAUSED) == [BatchStatus.PENDING, BatchStatus.RUNNING]
    assert batch_origins(BatchStatus.RUNNING) == [BatchStatus.PENDING, BatchStatus.PAUSED]
