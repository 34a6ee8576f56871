"""Many ask at once under many keys while one of two servers is killed: each is done once."""

import asyncio
import signal
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from random import Random

import pytest

from tests.support.load import PAUSE_S, Call, Clients
from tests.support.peers import Peer, a_mock, peers
from tests.support.truth import asked, require_truth, until_at_rest
from tests.support.wait import wait_until, wait_until_so

LATENCY_MS = 500
AT_ONCE = 6
"""About as many keys are under way at a time."""

RUNS_IN = """
SELECT count(*) FROM executions AS e JOIN processes AS p ON p.id = e.owner_id
WHERE e.status = 'running' AND p.pid = $1
"""

TOLD = {"completed": 200, "failed": 502}
"""What is answered of a record: its outputs, or that the process that ran it has died."""


async def _ask(clients: Clients, servers: Sequence[str], key: str, random: Random) -> Call:
    """Ask under a key, one server or the other, until one says what came of it."""
    while True:
        call = await clients.call(random.choice(servers), key)
        if call.execution_id is not None:
            return call
        await asyncio.sleep(float(call.retry_after or PAUSE_S))


async def _runs_some(url: str, peer: Peer) -> bool:
    """Tell whether executions run in a server."""
    return bool(await asked(url, RUNS_IN, peer.server.process.pid))


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
            await wait_until_so(partial(_runs_some, url, dying))
            await dying.server.stop(signal.SIGKILL)
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
