"""A proxy as it stands before replicas: it asks each for its readiness, and obeys."""

import asyncio
from collections.abc import Iterator
from itertools import cycle
from typing import Self

import aiohttp
from aiohttp import web

from tests.support.wait import wait_until

ASKED_EVERY_S = 0.1


class ReadyProxy:
    """Sends each request to the next ready server, once; `servers` may change meanwhile.

    A request that finds none ready, as on a busy machine, waits for one.
    """

    def __init__(self) -> None:
        self.servers: set[str] = set()
        self.ready: tuple[str, ...] = ()
        self.base_url = ""
        self._turns: Iterator[str] = iter(())

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}"
        self._asking = asyncio.create_task(self._ask_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._asking.cancel()
        await self._runner.cleanup()
        await self._session.close()

    async def _ask_on(self) -> None:
        while True:
            await self._ask()
            await asyncio.sleep(ASKED_EVERY_S)

    async def _ask(self) -> None:
        servers = sorted(self.servers)
        found = await asyncio.gather(*map(self._is_ready, servers))
        ready = tuple(one for one, is_ready in zip(servers, found, strict=True) if is_ready)
        if ready != self.ready:
            self.ready, self._turns = ready, cycle(ready)

    async def _is_ready(self, server: str) -> bool:
        try:
            async with self._session.get(f"{server}/readyz") as answer:
                return answer.status == web.HTTPOk.status_code
        except aiohttp.ClientError:
            return False

    async def _pass_on(self, request: web.Request) -> web.Response:
        await wait_until(lambda: bool(self.ready), 30)
        url = next(self._turns) + request.path_qs
        headers = {"Content-Type": "application/json"}
        body = await request.read()
        async with self._session.request(request.method, url, data=body, headers=headers) as answer:
            return web.Response(body=await answer.read(), status=answer.status)
