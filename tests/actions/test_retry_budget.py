"""How many retries a back-end in trouble gets, and what records say where there were no more."""

import asyncio
from typing import Any

import pytest

from app.adapters.dspy import DspyAdapter
from app.adapters.errors import AdapterError, ErrorType
from app.database import Database
from app.errors import BackendUnavailableError, ExecutionError
from app.models import Execution
from tests.adapters.dspy_adapters import an_lm, running
from tests.support.adapters import ScriptedAdapter
from tests.support.factories import a_program, a_run, an_action, records_of
from tests.support.model_server import ModelServer, status

FLOOR = 10


async def _all_failed(
    database: Database, adapter: DspyAdapter, count: int, **options: Any
) -> list[Execution]:
    """Run that many executions at once; give their records."""
    program = await a_program(database, adapter=adapter.name)
    action = an_action(database, adapter)
    runs = (action(a_run(program, retry_delay=0, **options)) for _ in range(count))
    ends = await asyncio.gather(*runs, return_exceptions=True)
    assert all(isinstance(end, ExecutionError) for end in ends)
    return await records_of(database, program)


async def test_retries_end_with_the_budget(database: Database) -> None:
    """The last failure climbs, and says in its context that no retry was left."""
    adapter = ScriptedAdapter(
        *(AdapterError(ErrorType.OVERLOADED, "busy") for _ in range(1 + FLOOR + 1))
    )
    program = await a_program(database)
    action = an_action(database, adapter)
    run = a_run(program, max_retries=10, retry_delay=0)
    with pytest.raises(BackendUnavailableError):
        await action(run)
    with pytest.raises(BackendUnavailableError) as failed:
        await action(run)
    first, second = await records_of(database, program)
    assert (len(first.attempts), len(second.attempts)) == (11, 1)
    assert first.error["context"] == {}  # type: ignore[index]
    exhausted = {"retry_budget": "exhausted"}
    assert second.error["context"] == second.attempts[0]["error"]["context"] == exhausted  # type: ignore[index]
    assert failed.value.members["error"]["context"] == exhausted


async def test_repairs_are_no_retries(database: Database) -> None:
    """They take nothing out of the budget."""
    wrong = AdapterError(ErrorType.OUTPUT_INVALID, "no")
    adapter = ScriptedAdapter(*[wrong] * 6, *[AdapterError(ErrorType.OVERLOADED, "busy")] * 11)
    program = await a_program(database)
    action = an_action(database, adapter)
    with pytest.raises(ExecutionError):
        await action(a_run(program, max_repairs=5))
    with pytest.raises(ExecutionError):
        await action(a_run(program, max_retries=10, retry_delay=0))
    assert [len(record.attempts) for record in await records_of(database, program)] == [6, 11]


async def test_a_model_server_in_trouble_is_not_called_much_more(
    database: Database,
) -> None:
    """However many retries the executions would like, its load rises by a fifth at most."""
    count = 100
    async with ModelServer() as server, running({"main": an_lm(server)}) as adapter:
        server.always(status(503))
        records = await _all_failed(database, adapter, count, max_retries=10)
    assert len(server.completions) == sum(len(record.attempts) for record in records)
    assert count < len(server.completions) <= count * 1.2
