"""What adapters in this process have in common."""

from uuid import uuid4

from app.adapters.base import Program
from app.adapters.prepared import REVISIONS_HELD, PreparedPrograms
from tests.adapters.programs import a_program


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
