"""Change a program; another adapter, config or state is a new revision, prepared before it is used.

Until the new revision stands, the program runs on the old one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from uuid import UUID

from app.actions.program_catalogue import ProgramCatalogue
from app.actions.program_preparation import ProgramPreparation, Verdict, require_adapter
from app.adapters.base import Program as AdapterProgram
from app.adapters.registry import AdapterRegistry
from app.database import Database
from app.errors import InvalidTransitionError
from app.models import Program, ProgramRevision
from app.models.states import ProgramStatus

_FIXED = frozenset({ProgramStatus.INITIALIZING, ProgramStatus.ARCHIVED})
"""In these states a program is not changed."""


@dataclass(frozen=True)
class ProgramChangeInput:
    """What shall be otherwise: `details` are description, metadata and retention.

    `setup` are adapter, config and state; with `always` they are a new revision even where the
    program has them so already.
    """

    program_id: UUID
    details: Mapping[str, Any] = field(default_factory=dict)
    setup: Mapping[str, Any] = field(default_factory=dict)
    always: bool = False


class _Begun(NamedTuple):
    """A program as it is, to adapters and in its row, and the revision that it is to have."""

    row: Program
    program: AdapterProgram
    revision: ProgramRevision | None


class ProgramChange:
    """Changes programs."""

    def __init__(
        self,
        database: Database,
        catalogue: ProgramCatalogue,
        adapters: AdapterRegistry,
        preparation: ProgramPreparation,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._adapters = adapters
        self._preparation = preparation

    async def __call__(self, wanted: ProgramChangeInput) -> Program:
        """Change; the new revision may leave the program in `error`, which says why.

        Raises ProgramNotFoundError, InvalidTransitionError (archived, initializing, or changed by
        somebody else meanwhile) and InvalidRequestError where no adapter has the name.
        """
        if "adapter" in wanted.setup and not wanted.always:
            require_adapter(self._adapters, wanted.setup["adapter"])
        before, program, revision = await self._begin(wanted)
        if revision is None:
            return before
        verdict = None
        if before.status != ProgramStatus.DRAFT:
            setup = _setup(revision, "revision", "config", "state")
            verdict = await self._preparation(revision.adapter, replace(program, **setup))
        return await self._end(before, revision, wanted.details, verdict)

    async def _begin(self, wanted: ProgramChangeInput) -> _Begun:
        async with self._database.transaction() as tx:
            program = await tx.programs.hold(wanted.program_id)
            if program.status in _FIXED:
                raise InvalidTransitionError(
                    f"The program is {program.status} and cannot be changed."
                )
            revision = None
            if wanted.always or _is_other(program, wanted.setup):
                revision = await tx.programs.add_revision(program, wanted.setup)
            elif wanted.details:
                await tx.programs.change(program.id, wanted.details)
            runnable = await self._catalogue.get(tx, wanted.program_id)
            return _Begun(program, runnable.for_adapter(), revision)

    async def _end(
        self,
        before: Program,
        revision: ProgramRevision,
        details: Mapping[str, Any],
        verdict: Verdict | None,
    ) -> Program:
        async with self._database.transaction() as tx:
            program = await tx.programs.hold(before.id)
            if (program.revision, program.status) != (before.revision, before.status):
                raise InvalidTransitionError("The program was changed by another call meanwhile.")
            setup = _setup(revision, "revision", "adapter", "config", "state")
            changed = await tx.programs.change(before.id, {**details, **setup})
            if verdict is not None:
                await tx.programs.mark(before.id, ProgramStatus.INITIALIZING)
                await tx.programs.mark(before.id, verdict.status, error=verdict.reason)
            return changed


def _is_other(program: Program, setup: Mapping[str, Any]) -> bool:
    return any(getattr(program, name) != value for name, value in setup.items())


def _setup(revision: ProgramRevision, *names: str) -> dict[str, Any]:
    return {name: getattr(revision, name) for name in names}
