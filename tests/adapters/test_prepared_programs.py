"""What adapters in this process have in common."""

import asyncio
from uuid import uuid4

from typing_extensions import override

from app.adapters.base import Program
from app.adapters.prepared import REVISIONS_HELD, PreparedPrograms
from tests.adapters.programs import a_program
from tests.support.wait import wait_until


class Workshop:
    """Prepares programs by their revision, and counts."""

    def __init__(self) -> None:
        self.prepared: list[int] = []

    async def __call__(self, program: Program) -> int:
        """Prepare."""
        self.prepared.append(program.revision)
        return program.revision


async def test_prepares_a_revision_once() -> None:
    """A revision that is held is not prepared again."""
    workshop = Workshop()
    programs = PreparedPrograms(workshop)
    program = a_program()
    assert [await programs.get(program) for _ in range(3)] == [1, 1, 1]
    assert workshop.prepared == [1]


async def test_holds_a_few_revisions() -> None:
    """Beyond the limit the one that came first is forgotten, and prepared when it is asked for."""
    workshop = Workshop()
    programs = PreparedPrograms(workshop)
    program_id = uuid4()
    revisions = [
        a_program(program_id=program_id, revision=number) for number in range(REVISIONS_HELD + 1)
    ]
    for program in revisions:
        await programs.get(program)
    await programs.get(revisions[-1])
    await programs.get(revisions[0])
    assert workshop.prepared == [*range(REVISIONS_HELD + 1), 0]


class SlowWorkshop(Workshop):
    """Prepares when it is let, or fails as it is told."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.failure = failure

    @override
    async def __call__(self, program: Program) -> int:
        """Prepare."""
        revision = await super().__call__(program)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return revision


async def test_those_who_ask_at_once_wait_for_one_preparation() -> None:
    """One preparation serves all."""
    workshop = SlowWorkshop()
    programs, program = PreparedPrograms(workshop), a_program()
    asking = [asyncio.create_task(programs.get(program)) for _ in range(3)]
    await wait_until(lambda: workshop.prepared == [1])
    workshop.gate.set()
    assert await asyncio.gather(*asking) == [1, 1, 1]
    assert workshop.prepared == [1]


async def test_who_leaves_takes_nobody_along() -> None:
    """Where the first to ask is stopped, the next one has the program prepared."""
    workshop = SlowWorkshop()
    programs, program = PreparedPrograms(workshop), a_program()
    asking = [asyncio.create_task(programs.get(program)) for _ in range(3)]
    await wait_until(lambda: workshop.prepared == [1])
    asking[0].cancel()
    await wait_until(lambda: workshop.prepared == [1, 1])
    workshop.gate.set()
    assert await asyncio.gather(*asking[1:]) == [1, 1]
    assert (asking[0].cancelled(), workshop.prepared) == (True, [1, 1])


async def test_a_failure_is_everybodys_and_forgotten() -> None:
    """All who waited hear of it, and the next to ask tries anew."""
    workshop = SlowWorkshop(RuntimeError("no luck"))
    programs, program = PreparedPrograms(workshop), a_program()
    asking = [asyncio.create_task(programs.get(program)) for _ in range(2)]
    await wait_until(lambda: workshop.prepared == [1])
    workshop.gate.set()
    assert [str(of) for of in await asyncio.gather(*asking, return_exceptions=True)] == [
        "no luck"
    ] * 2
    workshop.failure = None
    assert await programs.get(program) == 1
    assert workshop.prepared == [1, 1]
