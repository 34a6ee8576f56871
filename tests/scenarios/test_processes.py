"""Servers that share a database tell each other what has changed."""

import asyncio

from tests.support.peers import a_mock, peers, until_running


async def test_any_server_cancels(quick: dict[str, str]) -> None:
    """The record is `cancelled` in the answer; who waits for the execution gets the 409 at once."""
    async with peers(quick, {}, {}) as (first, second):
        answering = first.execute(await a_mock(first.client, 60_000))
        (execution_id,) = await until_running(second)
        path = f"/v1/executions/{execution_id}/cancel"
        cancelled = await second.client.post(path)
        answer = await asyncio.wait_for(answering, 5)
        again = await second.client.post(path)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert cancelled.json()["outcome"] == "cancelled"
    assert cancelled.json()["finished_at"] is not None
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/execution-cancelled"
    assert answer.json()["execution_id"] == execution_id
    assert (again.status_code, again.json()["type"]) == (409, "/problems/invalid-transition")


async def test_a_change_is_seen_by_the_other_server(quick: dict[str, str]) -> None:
    """It remembers the program, and runs the new revision well before its memory ages."""
    async with peers(quick, {}, {}) as (first, second):
        program_id = await a_mock(first.client, 0)
        assert (await second.execute(program_id)).json()["program_revision"] == 1
        change = {"config": {"mock": {"outputs": {"answer": "not I"}}}}
        await first.client.patch(f"/v1/programs/{program_id}", json=change)
        async with asyncio.timeout(2):
            while (seen := (await second.execute(program_id)).json())["program_revision"] == 1:
                pass
        archived = await first.client.post(f"/v1/programs/{program_id}/archive")
        assert archived.status_code == 200
        async with asyncio.timeout(2):
            while (await second.execute(program_id)).status_code != 409:
                pass
    assert (seen["program_revision"], seen["outputs"]) == (2, {"answer": "not I"})
