"""What all combinations do alike: programs, signatures, health, and what they cost."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest
from typing_extensions import override

from app.adapters.base import AdapterHealth
from app.adapters.combine.in_turn import Failover
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.setup import AdapterSetup
from app.settings import SettingsError
from app.signatures.definition import SignatureDefinition
from tests.adapters.combine.combining import Hang, combined, fails, says, told
from tests.adapters.programs import a_call, a_program
from tests.support.adapters import ScriptedAdapter
from tests.support.wait import wait_until


class Picky(ScriptedAdapter):
    """Takes no signature, is not well, and keeps what it holds."""

    @override
    async def validate_signature(self, signature: SignatureDefinition) -> None:
        """Refuse."""
        raise AdapterError(ErrorType.UNSUPPORTED, "no maps")

    @override
    async def health_check(self) -> AdapterHealth:
        """Be ill."""
        return AdapterHealth(healthy=False, latency_ms=0.0, error="out of order")

    @override
    async def delete_program(self, program_id: object) -> bool:
        """Fail."""
        raise fails(ErrorType.CONNECTION_FAILED)


def members(*preparations: BaseException | None) -> list[ScriptedAdapter]:
    """Give adapters whose preparations end so."""
    return [
        ScriptedAdapter(says(name), name=name, preparation=of)
        for name, of in zip("abc", preparations, strict=False)
    ]


async def test_a_program_is_prepared_on_all_members() -> None:
    """Every member holds a program that was created, and forgets one that was deleted."""
    both, program = members(None, None), a_program()
    adapter = combined(Failover, *both)
    await adapter.create_program(program)
    assert [list(member.programs.values()) for member in both] == [[program], [program]]
    assert await adapter.delete_program(program.program_id) is True
    assert [member.programs for member in both] == [{}, {}]


async def test_one_member_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    """A member that cannot take a program now is left out, and the log says so."""
    adapter = combined(Failover, *members(fails(ErrorType.CONNECTION_FAILED), None))
    await adapter.create_program(a_program())
    assert len(await adapter.list_programs()) == 1
    assert "all goes on without a: no luck" in caplog.text


@pytest.mark.parametrize(
    "preparations",
    [
        (fails(ErrorType.CONNECTION_FAILED), fails(ErrorType.UNSUPPORTED)),
        (None, fails(ErrorType.INVALID_REQUEST)),
        (None, RuntimeError("no luck")),
    ],
    ids=["nobody can", "the caller is wrong", "a bug"],
)
async def test_a_program_is_refused(preparations: tuple[BaseException | None, ...]) -> None:
    """Where no member takes a program, or one finds the request wrong, it is not held."""
    adapter = combined(Failover, *members(*preparations))
    with pytest.raises((AdapterError, RuntimeError), match="no luck"):
        await adapter.create_program(a_program())
    assert list(await adapter.list_programs()) == []


async def test_a_deletion_that_failed_is_told() -> None:
    """A member that cannot forget is told, after the others have forgotten."""
    picky, good = Picky(name="a"), ScriptedAdapter(name="b")
    adapter, program = combined(Failover, picky, good), a_program()
    await adapter.create_program(program)
    with pytest.raises(AdapterError, match="no luck"):
        await adapter.delete_program(program.program_id)
    assert good.programs == {}


async def test_what_only_a_member_holds_is_deleted() -> None:
    """After a restart the members may know more than the combination."""
    first, second = members(None, None)
    program = a_program()
    await second.create_program(program)
    adapter = combined(Failover, first, second)
    assert await adapter.delete_program(program.program_id) is True
    assert await adapter.delete_program(uuid4()) is False


@pytest.mark.parametrize(("kinds", "is_good"), [("Pg", True), ("gP", True), ("PP", False)])
async def test_takes_what_one_member_takes(kinds: str, is_good: bool) -> None:  # noqa: FBT001
    """A signature is taken, and the combination well, where one member takes it and is well."""
    of: Mapping[str, Any] = {"P": Picky, "g": ScriptedAdapter}
    adapter = combined(
        Failover, *(of[kind](name=kind * 2 + str(n)) for n, kind in enumerate(kinds))
    )
    health = await adapter.health_check()
    assert health.healthy is is_good
    assert health.error == (None if is_good else "PP0: out of order; PP1: out of order")
    if is_good:
        await adapter.validate_signature(a_program().signature)
    else:
        with pytest.raises(AdapterError, match="no maps"):
            await adapter.validate_signature(a_program().signature)


async def test_a_first_call_that_is_refused_holds_nothing() -> None:
    """A program whose first call is refused is not held; a later refusal changes nothing."""
    member = ScriptedAdapter(
        fails(ErrorType.INVALID_REQUEST), says("a"), fails(ErrorType.INVALID_REQUEST), name="a"
    )
    adapter, program = combined(Failover, member), a_program()
    held = []
    for _ in range(3):
        await asyncio.gather(adapter.execute_program(a_call(program)), return_exceptions=True)
        held.append(len(await adapter.list_programs()))
    assert held == [0, 1, 1]


async def test_nested_calls_are_told_one_by_one() -> None:
    """A combination of combinations tells the calls that reached back-ends, and costs their sum."""
    first, second, third = (
        ScriptedAdapter(fails(), name="a"),
        ScriptedAdapter(fails(), name="b"),
        ScriptedAdapter(says("c"), name="c"),
    )
    inner = combined(Failover, first, second)
    inner.name = "inner"
    call = a_call()
    result = await combined(Failover, inner, third).execute_program(call)
    assert told(call) == [("a", "overloaded"), ("b", "overloaded"), ("c", None)]
    assert (result.adapter, result.usage.lm_calls) == ("c", 3)
    assert call.told.spent == result.usage


async def test_a_stopped_call_stops_its_member() -> None:
    """A call that is cancelled leaves nothing running, and is told with what it cost."""
    hung, call = Hang(), a_call()
    adapter = combined(Failover, ScriptedAdapter(hung, name="a"))
    running = asyncio.create_task(adapter.execute_program(call))
    await wait_until(lambda: call.told.spent.lm_calls == 1)
    running.cancel()
    await asyncio.wait([running])
    assert (hung.stops, told(call)) == (1, [("a", "cancelled")])


async def test_members_are_not_cleaned_up() -> None:
    """The registry cleans each adapter up, so a combination leaves that to it."""
    member, program = ScriptedAdapter(name="a"), a_program()
    adapter = combined(Failover, member)
    await adapter.create_program(program)
    await adapter.cleanup()
    assert list(member.programs) == [program.program_id]


def test_members_come_from_the_settings() -> None:
    """A combination that is built where no other adapter is known cannot be."""
    with pytest.raises(SettingsError, match="there is no adapter 'mock' to be made of"):
        Failover(AdapterSetup("safe", {"members": ["mock"]}))
