"""Many ask at once under many keys while one of two servers is killed: each is done once."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from random import Random

import pytest

from tests.support.load import PAUSE_S, Call, Clients
from tests.support.peers import a_mock, kill_amid_work, peers
from tests.support.truth import require_truth, until_at_rest
from tests.support.wait import wait_until

LATENCY_MS = 500
AT_ONCE = 6
"""About as many keys are under way at a time."""

TOLD = {"completed": 200, "failed": 502}
"""What is answered of a record: its outputs, or that the process that ran it has died."""


async def _ask(clients: Clients, servers: Sequence[str], key: str, random: Random) -> Call:
    """Ask under a key, one server or the other, until one says what came of it."""
    while True:
        call = await clients.call(random.choice(servers), key)
        if call.execution_id is not None:
            return call
        await asyncio.sleep(float(call.retry_after or PAUSE_S))


async def _require_done_once(
    environment: dict[str, str], url: str, keys: int, parallel: int
) -> Mapping[str, int]:
    """Have each key asked for so often, with a kill in the middle; require one execution each."""
    random = Random(keys)  # noqa: S311 - any order will do
    wanted = [str(number) for number in range(keys) for _ in range(parallel)]
    async with peers(environment, {}, {}) as (dying, living):
        program_id = await a_mock(living.client, LATENCY_MS)
        servers = [peer.server.base_url for peer in (dying, living)]
        path = f"/v1/programs/{program_id}/executions"
        async with Clients(path, AT_ONCE * parallel) as clients:
            asking = [asyncio.create_task(_ask(clients, servers, key, random)) for key in wanted]
            await wait_until(lambda: clients.served > len(wanted) / 3, 600)
            await kill_amid_work(url, dying)
            heard = await asyncio.gather(*asking)
        await until_at_rest(url)
        rows = await require_truth(url, living.client, program_id, clients.calls)
        assert living.server.tracebacks == []
    crashed = [row for row in rows.values() if row["error_type"] == "worker_crashed"]
    assert crashed, "the kill hit nothing that ran"
    told = defaultdict(set)
    for call in heard:
        told[call.key].add((call.execution_id, call.status))
    ran = {one: row for one, row in rows.items() if row["status"] != "cancelled"}
    assert len(ran) == len(told) == keys  # what was cancelled before it began has not run
    assert sorted(one for each in told.values() for one in each) == sorted(
        (execution_id, TOLD[row["status"]]) for execution_id, row in ran.items()
    )
    return {
        "keys": keys,
        "executions": len(rows),
        "crashed": len(crashed),
        "requests": len(clients.calls),
    }


@pytest.mark.long
@pytest.mark.timeout(1_200)
async def test_a_thousand_keys_are_done_once(quick: dict[str, str], database_url: str) -> None:
    """Twenty requests each; all hear of the same execution, also of one that the kill has hit."""
    found = await _require_done_once(quick, database_url, 1_000, 20)
    print(found)  # noqa: T201 - for the page of scenarios
