"""Clients that go away, at any moment and in any way, leave no record running and nothing open."""

import asyncio
import json
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.runtime.work import connections_of
from app.settings import Settings
from tests.support.load import INPUTS
from tests.support.peers import Peer, a_mock, peers
from tests.support.truth import asked, counted, require_truth, until_at_rest
from tests.support.wait import wait_until_so

LATENCY_MS = 300
LAST = -1
AT_ONCE = 50
SERVED = b"HTTP/1.1 200"
MOST_CONNECTIONS = sum(connections_of(Settings()).values())
"""The pool's, and those beside it: docs/howto/use-your-own-postgresql.md."""
FREE_WITHIN_S = 5.0

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing throws away what is under way, and tells so by RST."""


@dataclass(frozen=True)
class Leaving:
    """A client who goes: after some of its request, or some time after it, or within the answer."""

    number: int
    share_sent: float
    waits_s: float | None
    is_rude: bool
    has_key: bool

    @classmethod
    def at_random(cls, number: int, random: Random) -> "Leaving":
        """Choose a moment: a third within the request, a third before the answer, a third in it."""
        share_sent, waits_s = random.choice(
            [
                (random.random(), 0.0),
                (1.0, random.uniform(0, 1.5 * LATENCY_MS / 1_000)),
                (1.0, None),
            ]
        )
        return cls(number, share_sent, waits_s, random.random() < 0.5, number % 2 == 0)

    def request(self, path: str) -> bytes:
        """Write the whole request."""
        body = json.dumps({**INPUTS, "metadata": {"client": self.number}}).encode()
        key = f"Idempotency-Key: client-{self.number}\r\n" if self.has_key else ""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: dspatch\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{key}\r\n"
        )
        return head.encode() + body

    async def come_and_go(self, base_url: str, path: str) -> bool:
        """Ask and leave; tell whether the answer had begun to come by then."""
        url = urlsplit(base_url)
        reading, writing = await asyncio.open_connection(url.hostname, url.port)
        request = self.request(path)
        writing.write(request[: int(len(request) * self.share_sent)])
        hearing = asyncio.create_task(reading.read(12))
        await asyncio.wait({hearing}, timeout=self.waits_s)
        hearing.cancel()
        if self.is_rude:
            link: socket.socket = writing.get_extra_info("socket")
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writing.transport.abort()
        return hearing.done() and not hearing.cancelled() and hearing.result() == SERVED


async def _require_nothing_left(
    environment: dict[str, str], url: str, clients: int, within_s: float
) -> dict[str, Any]:
    """Have clients come and go; require that every execution ends and every connection is free."""
    random = Random(clients)  # noqa: S311 - any moments will do
    name = "leavers"
    environment = environment | {"DSPATCH_DATABASE__URL": f"{url}&application_name={name}"}
    async with peers(environment, {}) as (peer,):
        program_id = await a_mock(peer.client, LATENCY_MS)
        path = f"/v1/programs/{program_id}/executions"
        leaving = [Leaving.at_random(number, random) for number in range(clients)]
        heard = await _come_and_go(leaving, peer.server.base_url, path)
        await _until_all_have_begun(peer, program_id)
        await _until_connections_are_free(url, name, within_s)
        await until_at_rest(url, within_s)
        rows = await require_truth(url, peer.client, program_id, [])
        assert await counted(peer.client) == len(rows)
    assert peer.server.tracebacks == []
    status = {json.loads(row["metadata"])["client"]: row["status"] for row in rows.values()}
    assert len(status) == len(rows)
    assert status[LAST] == "completed"
    for one, has_heard in zip(leaving, heard, strict=True):
        if has_heard or (one.has_key and one.number in status):
            assert status[one.number] == "completed", one
        else:
            assert status.get(one.number) in {None, "completed", "cancelled"}, one
    assert sum(heard) > clients / 5
    return {"clients": clients, "answered": sum(heard), **Counter(status.values())}


async def _come_and_go(leaving: Sequence[Leaving], base_url: str, path: str) -> list[bool]:
    """Have so many at once come and go; tell of each whether it was answered."""
    places = asyncio.Semaphore(AT_ONCE)

    async def take_turn(one: Leaving) -> bool:
        async with places:
            return await one.come_and_go(base_url, path)

    return await asyncio.gather(*map(take_turn, leaving))


async def _until_all_have_begun(peer: Peer, program_id: str) -> None:
    """Come last, by the longest way, and stay: requests that came before have begun by the end."""
    path, headers = f"/v1/programs/{program_id}/executions", {"Idempotency-Key": "the last"}
    last = {**INPUTS, "metadata": {"client": LAST}}

    async def is_served() -> bool:
        return (await peer.client.post(path, json=last, headers=headers)).status_code == 200

    await wait_until_so(is_served)


async def _until_connections_are_free(url: str, name: str, within_s: float) -> None:
    """Wait until the server's connections do nothing, and are no more than it may have."""
    mine = f"FROM pg_stat_activity WHERE application_name = '{name}'"

    async def are_free() -> bool:
        busy = await asked(url, f"SELECT count(*) {mine} AND state <> 'idle'")
        return bool(busy == 0 and await asked(url, f"SELECT count(*) {mine}") <= MOST_CONNECTIONS)

    await wait_until_so(are_free, within_s)


async def test_a_hundred_clients_that_go_leave_nothing(
    quick: dict[str, str], database_url: str
) -> None:
    """Within a request or before its answer, politely or by reset, with a key or without."""
    await _require_nothing_left(quick, database_url, 100, 60)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_thousand_clients_that_go_leave_nothing(
    quick: dict[str, str], database_url: str
) -> None:
    """At once; five seconds later every connection is free."""
    found = await _require_nothing_left(quick, database_url, 1_000, FREE_WITHIN_S)
    print(found)  # noqa: T201 - for the page of scenarios
