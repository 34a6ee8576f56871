"""How a serving process ends: what it still takes, what it waits for, what it leaves behind."""

import asyncio
import signal
from collections.abc import Mapping
from time import monotonic
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr

from app.database import Database
from app.local.postgres import LocalPostgres
from app.models import Execution
from app.models.states import ExecutionStatus
from app.settings import DatabaseSettings
from tests.support.load import Load
from tests.support.ready_proxy import ReadyProxy
from tests.support.server import (
    ServerProcess,
    serving,
    slow_program,
    start_dspatch,
    until_running,
)
from tests.support.truth import require_truth
from tests.support.wait import wait_until

INPUTS = {"inputs": {"a": "x"}}
LONG = {"DSPATCH_SERVER__DRAIN_DELAY_MS": "60000", "DSPATCH_SERVER__GRACE_MS": "60000"}
NOT_AWAITED_S = 30.0
"""An end within half a `LONG` wait did not wait; how busy the machine is takes seconds, too."""
RESTARTS = 20
CLIENTS = 4


def _client(server: ServerProcess) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.base_url, timeout=30)


async def _record(database: Database, execution_id: str) -> Execution:
    async with database.transaction() as tx:
        return await tx.executions.get(UUID(execution_id))


async def _until_unready(client: httpx.AsyncClient) -> httpx.Response:
    answer = await client.get("/readyz")
    while answer.status_code == httpx.codes.OK:
        answer = await client.get("/readyz")
    return answer


async def test_a_draining_server_says_so_first_and_goes_on_for_the_delay(
    environment: dict[str, str],
) -> None:
    """/readyz is 503, new connections and requests are still taken, then the socket closes.

    That requests are taken after the first 503 is what a proxy lives on, however long a busy
    machine takes to hand over the signal.
    """
    delay = {"DSPATCH_SERVER__DRAIN_DELAY_MS": "3000"}
    async with serving(environment=environment | delay) as server, _client(server) as client:
        path = await slow_program(client, 4_000)
        answering = asyncio.create_task(client.post(path, json=INPUTS))
        await until_running(client)
        began = monotonic()
        server.process.send_signal(signal.SIGTERM)
        unready = await _until_unready(client)
        assert unready.json()["checks"] == {"server": "draining"}
        async with _client(server) as newcomer:
            taken = await newcomer.get("/v1/programs")
            assert (await newcomer.get("/livez")).status_code == 200
        assert taken.status_code == 200
        assert taken.headers["connection"] == "close"
        answer = await answering
        assert (answer.status_code, answer.json()["status"]) == (200, "completed")
        assert await server.stop() == 0
        assert monotonic() - began >= 3
        with pytest.raises(httpx.ConnectError):
            await client.get("/livez")


async def test_what_runs_may_end_within_the_grace(environment: dict[str, str]) -> None:
    """What runs when the socket closes is answered, and the server exits with 0."""
    async with serving(environment=environment) as server, _client(server) as client:
        path = await slow_program(client, 3_000)
        answering = asyncio.create_task(client.post(path, json=INPUTS))
        await until_running(client)
        assert await server.stop() == 0
        answer = await answering
        assert answer.json()["status"] == "completed"
        assert answer.headers["connection"] == "close"


async def test_past_the_grace_what_runs_is_cancelled_and_recorded(
    environment: dict[str, str], database: Database, client: httpx.AsyncClient
) -> None:
    """The record ends `cancelled`, never `running`, and the client is told to come again.

    Who does so under the same key is told of that record; a new request is a new execution.
    """
    grace, key = {"DSPATCH_SERVER__GRACE_MS": "300"}, {"Idempotency-Key": "order-4711"}
    async with serving(environment=environment | grace) as server, _client(server) as direct:
        path = await slow_program(direct, 2_000)
        answering = [
            asyncio.create_task(direct.post(path, json=INPUTS, headers=headers))
            for headers in (key, {})
        ]
        await until_running(direct, 2)
        assert await server.stop() == 0
        answers = await asyncio.gather(*answering)
    for answer in answers:
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/shutting-down")
        assert answer.headers["retry-after"] == "1"
    assert server.tracebacks == []
    again = await client.post(path, json=INPUTS, headers=key)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/execution-cancelled")
    assert again.headers["idempotency-replayed"] == "true"
    record = await _record(database, again.json()["execution_id"])
    assert (record.status, record.outcome) == ("cancelled", "cancelled")
    async with database.transaction() as tx:
        figures = await tx.statistics.of_program(record.program_id)
    assert figures.by_status[ExecutionStatus.CANCELLED] == sum(figures.by_status.values()) == 2


async def test_a_database_that_is_away_does_not_hold_the_end(own_postgres: LocalPostgres) -> None:
    """Records that cannot be written are lost after some seconds, not at their deadlines.

    They are tried until then, whatever further signal comes.
    """
    url = own_postgres.url("postgres")
    await Database.migrate(DatabaseSettings(url=SecretStr(url)))
    environment = {"DSPATCH_DATABASE__URL": url, "DSPATCH_AUTH__MODE": "none"}
    grace = {"DSPATCH_SERVER__GRACE_MS": "300"}
    async with serving(environment=environment | grace) as server, _client(server) as client:
        path = await slow_program(client, 60_000)
        answering = asyncio.create_task(client.post(path, json=INPUTS, timeout=60))
        execution_id = await until_running(client)
        await own_postgres.stop()
        began = monotonic()
        server.process.send_signal(signal.SIGTERM)
        await wait_until(lambda: "Finished server process" in server.output, NOT_AWAITED_S)
        assert await server.stop() == 0
        assert monotonic() - began < NOT_AWAITED_S
        await asyncio.gather(answering, return_exceptions=True)
    assert f"execution {execution_id} is not written" in server.output


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_hurries(
    environment: dict[str, str], database: Database, second: signal.Signals
) -> None:
    """Neither the delay nor the grace is waited for; what runs is cancelled and recorded."""
    async with serving(environment=environment | LONG) as server, _client(server) as client:
        path = await slow_program(client, 60_000)
        answering = asyncio.create_task(client.post(path, json=INPUTS))
        execution_id = await until_running(client)
        server.process.send_signal(signal.SIGTERM)
        await _until_unready(client)
        began = monotonic()
        assert await server.stop(second) == 0
        assert monotonic() - began < NOT_AWAITED_S
        assert (await answering).status_code == 503
    assert (await _record(database, execution_id)).status == "cancelled"


async def test_ctrl_c_skips_the_delay_but_not_the_grace(environment: dict[str, str]) -> None:
    """A person at a terminal waits for what runs alone."""
    async with serving(environment=environment | LONG) as server, _client(server) as client:
        path = await slow_program(client, 1_000)
        answering = asyncio.create_task(client.post(path, json=INPUTS))
        await until_running(client)
        began = monotonic()
        assert await server.stop(signal.SIGINT) == 0
        assert monotonic() - began < NOT_AWAITED_S
        assert (await answering).json()["status"] == "completed"


async def test_idle_connections_do_not_hold_the_end(environment: dict[str, str]) -> None:
    """Neither those that had an answer, nor those that never said a word, nor half a request."""
    long = LONG | {"DSPATCH_SERVER__DRAIN_DELAY_MS": "0"}
    async with serving(environment=environment | long) as server, _client(server) as client:
        await client.get("/livez")
        host, _, port = server.base_url.removeprefix("http://").rpartition(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
        silent[1][1].write(b"GET /livez HTTP/1.1\r\nHost: x\r\n")
        await client.get("/livez")
        began = monotonic()
        assert await server.stop() == 0
        assert monotonic() - began < NOT_AWAITED_S
        for _, writer in silent:
            writer.close()


async def test_a_log_that_cannot_be_written_fails_no_request(environment: dict[str, str]) -> None:
    """Nobody reads standard error any more: requests are answered, and the end is the same."""
    debug = {"DSPATCH_LOGGING__LEVEL": "debug", "DSPATCH_SERVER__DRAIN_DELAY_MS": "0"}
    arguments = ("serve", "--port", "0")
    server = ServerProcess(await start_dspatch(*arguments, environment=environment | debug))
    await server.until_serving()
    await server.stop_reading()
    async with _client(server) as client:
        path = await slow_program(client, 0)
        for _ in range(3):
            assert (await client.post(path, json=INPUTS)).status_code == 200
    assert await server.stop() == 0


@pytest.mark.long  # as long as other tests take the processors, this would measure them
async def test_a_server_is_ready_within_five_seconds(environment: dict[str, str]) -> None:
    """From the start of the process to the first 200 of /readyz."""
    began = monotonic()
    async with serving(environment=environment) as server, _client(server) as client:
        assert (await client.get("/readyz")).status_code == 200
        assert monotonic() - began < 5


@pytest.mark.long  # as above
async def test_a_second_signal_ends_the_process_within_two_seconds(
    environment: dict[str, str],
) -> None:
    """From the signal to the exit, once DSPy has been imported: its modules have to be freed."""
    async with serving(environment=environment | LONG) as server, _client(server) as client:
        while (await client.get("/startupz")).status_code != httpx.codes.OK:
            pass
        server.process.send_signal(signal.SIGTERM)
        await _until_unready(client)
        began = monotonic()
        assert await server.stop() == 0
        assert monotonic() - began < 2


async def _restart_one_after_the_other(
    proxy: ReadyProxy, servers: list[ServerProcess], environment: Mapping[str, str], times: int
) -> list[ServerProcess]:
    """Restart the older of two servers again and again, once the other one is ready."""
    for _ in range(times):
        oldest = servers.pop(0)
        assert await oldest.stop() == 0
        proxy.servers.discard(oldest.base_url)
        newest = ServerProcess(await start_dspatch("serve", "--port", "0", environment=environment))
        servers.append(newest)
        await newest.until_serving()
        proxy.servers.add(newest.base_url)
        await wait_until(lambda: len(proxy.ready) == len(servers))
    return servers


async def _require_nothing_lost(environment: Mapping[str, str], url: str, times: int) -> int:
    """Restart two servers in turn under load; require that every request is served, and count."""
    environment = {**environment, "DSPATCH_SERVER__DRAIN_DELAY_MS": "1000"}
    async with (
        serving(environment=environment) as first,
        serving(environment=environment) as second,
        ReadyProxy() as proxy,
    ):
        async with _client(first) as direct:
            path = await slow_program(direct, 50)
        proxy.servers = {first.base_url, second.base_url}
        await wait_until(lambda: len(proxy.ready) == 2)
        async with Load(path, proxy.base_url, CLIENTS, INPUTS) as load:
            last = await _restart_one_after_the_other(proxy, [first, second], environment, times)
        async with _client(last[0]) as client:
            rows = await require_truth(url, client, path.split("/")[3], load.calls)
        for server in last:
            assert await server.stop() == 0
    assert {call.status for call in load.calls} == {200}
    assert len(load.calls) == len(rows)
    return len(rows)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_twenty_rolling_restarts_lose_no_request(
    environment: dict[str, str], database_url: str
) -> None:
    """Behind a proxy that honours readiness, each answer is 200."""
    requests = await _require_nothing_lost(environment, database_url, RESTARTS)
    print(requests, "requests over", RESTARTS, "restarts")  # noqa: T201 - for the page of scenarios
