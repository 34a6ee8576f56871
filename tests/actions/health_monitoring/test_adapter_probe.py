"""The check that runs a program on each adapter."""

from uuid import UUID

from typing_extensions import override

from app.actions.health_monitoring.adapter_probe import probe_adapters
from app.actions.health_monitoring.check import CheckStatus, Finding
from app.adapters.base import Adapter, ProgramCall, ProgramResult
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.lm_limits import LMParts
from app.adapters.usage import Usage
from app.database import Database
from tests.support.adapters import ScriptedAdapter, answer
from tests.support.health import health_tools

WELL = {"status": CheckStatus.HEALTHY, "latency_ms": 0.0, "error": None}


class Parent(ScriptedAdapter):
    """An adapter with children, which have parts of LMs as long as they hold programs."""

    def lm_children(self) -> dict[str, int]:
        """Have as many as hold a program."""
        return {"main": len(self.programs)}

    def limit_children(self, parts: LMParts) -> None:
        """Take them."""

    @override
    async def execute_program(self, call: ProgramCall) -> ProgramResult:
        """Hold the program that is run."""
        await self.create_program(call.program)
        return await super().execute_program(call)

    @override
    async def delete_program(self, program_id: UUID) -> bool:
        """Forget it, but fail to say so, as one whose children have crashed."""
        await super().delete_program(program_id)
        raise AdapterError(ErrorType.WORKER_CRASHED, "gone")


async def _probe(database: Database, *adapters: Adapter, lms: tuple[str, ...] = ()) -> Finding:
    return await probe_adapters(health_tools(database, *adapters, lms=lms))


async def test_every_adapter_runs_the_program_once(database: Database) -> None:
    """Briefly, on its own model; nothing is recorded."""
    adapters = [ScriptedAdapter(answer(answer="yes"), name=name) for name in ("one", "two")]
    finding = await _probe(database, *adapters, lms=("main",))
    assert finding == Finding(CheckStatus.HEALTHY, {"one": WELL, "two": WELL})
    for adapter in adapters:
        (call,) = adapter.calls
        assert call.program.config == {"max_tokens": 256}
        assert (call.attempt, call.timeout_s) == (1, 30.0)
    async with database.transaction() as tx:
        assert await tx.statistics.count_made(60_000) == 0


async def test_of_several_lms_the_first_is_asked(database: Database) -> None:
    """By name, since a program has to say which."""
    adapter = ScriptedAdapter(answer(answer="yes"))
    await _probe(database, adapter, lms=("small", "large"))
    assert adapter.calls[0].program.config == {"lm": "large", "max_tokens": 256}


async def test_a_failing_adapter_says_why(database: Database) -> None:
    """A model that answered something else is there all the same."""
    away = AdapterError(ErrorType.CONNECTION_FAILED, "refused", usage=Usage(lm_calls=1))
    finding = await _probe(
        database,
        ScriptedAdapter(away, name="away"),
        ScriptedAdapter(answer(reply="yes"), name="small"),
        ScriptedAdapter(answer(answer="yes"), name="well"),
    )
    assert finding.status is CheckStatus.WARNING
    assert finding.result is not None
    assert finding.result["away"] == {
        "status": CheckStatus.ERROR,
        "latency_ms": 0.0,
        "error": "connection_failed: refused",
    }
    assert finding.result["small"]["status"] is CheckStatus.WARNING
    assert finding.result["small"]["error"].startswith("output_invalid: ")
    assert finding.result["well"] == WELL


async def test_no_adapter_that_runs_is_an_error(database: Database) -> None:
    """Nothing could be executed."""
    finding = await _probe(database, ScriptedAdapter(OSError("a bug")))
    assert finding.status is CheckStatus.ERROR
    assert finding.result is not None
    assert finding.result["scripted"]["error"] == "unexpected: The adapter failed: OSError."


async def test_children_hold_the_program_no_longer_than_it_runs(database: Database) -> None:
    """Each that holds one has a part of its LM; where it cannot be told, it has gone anyway."""
    adapter = Parent(answer(answer="yes"))
    finding = await _probe(database, adapter)
    assert finding.status is CheckStatus.HEALTHY
    assert adapter.lm_children() == {"main": 0}
