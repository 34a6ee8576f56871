"""Clients under whose load things go wrong; they remember what they sent and what they heard."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Self

import aiohttp
from typing_extensions import override

PAUSE_S = 0.1
"""How long a client waits that was not served: some of the `Retry-After` that it was told."""

KEPT_ALIVE_S = 2.0
"""Shorter than the server keeps an idle connection: who is quicker to close must be the client."""

INPUTS = {"inputs": {"question": "Who is there?"}}


@dataclass(frozen=True)
class Call:
    """A request and its answer; without one `status` is None and `failure` says why."""

    status: int | None
    document: Mapping[str, Any]
    retry_after: str | None = None
    failure: str | None = None
    key: str | None = None
    took_s: float = 0.0

    @property
    def execution_id(self) -> str | None:
        """The execution that the answer names."""
        return self.document.get("execution_id")

    @property
    def is_honest(self) -> bool:
        """Whether it is 200, or a 503 that says when to come again."""
        return self.status == 200 or (self.status == 503 and self.retry_after is not None)


class Clients:
    """So many connections to servers, and all the calls that were made on them.

    `served` counts those that were answered with 200.
    """

    def __init__(self, path: str, connections: int = 100, body: Mapping[str, Any] = INPUTS) -> None:
        self.calls: list[Call] = []
        self.served = 0
        self._path = path
        self._body = body
        self._connections = connections

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=KEPT_ALIVE_S)
        timeout = aiohttp.ClientTimeout(total=120)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def call(self, base_url: str, key: str | None = None) -> Call:
        """Ask for an execution and remember what came of it."""
        began = monotonic()
        headers = {} if key is None else {"Idempotency-Key": key}
        try:
            async with self._session.post(
                base_url + self._path, json=self._body, headers=headers
            ) as answer:
                document = json.loads(await answer.read())
            call = Call(
                answer.status,
                document,
                answer.headers.get("Retry-After"),
                key=key,
                took_s=monotonic() - began,
            )
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            call = Call(None, {}, failure=repr(error), key=key, took_s=monotonic() - began)
        self.calls.append(call)
        self.served += call.status == 200
        return call


class Load(Clients):
    """Clients that call one server one after the other, until the block ends or they are told."""

    def __init__(
        self, path: str, base_url: str, clients: int, body: Mapping[str, Any] = INPUTS
    ) -> None:
        super().__init__(path, clients, body)
        self._base_url = base_url
        self._clients = clients
        self._is_over = False

    @override
    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._calling = [asyncio.create_task(self._call_on()) for _ in range(self._clients)]
        return self

    @override
    async def __aexit__(self, *failure: object) -> None:
        await self.stop()
        await super().__aexit__(*failure)

    async def stop(self) -> None:
        """Let the calls that are under way be the last."""
        self._is_over = True
        await asyncio.gather(*self._calling)

    async def _call_on(self) -> None:
        while not self._is_over:
            if (await self.call(self._base_url)).status != 200:
                await asyncio.sleep(PAUSE_S)


def answers(calls: Iterable[Call]) -> Mapping[object, int]:
    """Count calls by their status, those without answer by their failure."""
    return Counter(call.status or call.failure for call in calls)
