"""The way to receivers: one POST to a checked address, without redirects, its answer read a little.

The address that was checked is the one that is connected to; TLS verifies the name.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

from app.adapters.retry_after import retry_after_s
from app.policies.clock import Clock
from app.webhooks.addresses import AddressRules, RefusedAddressError

TIMEOUT_S = 15.0
"""How long a POST may take from the look-up of the name to the end of the answer."""
CONNECT_TIMEOUT_S = 5.0

MAX_ANSWER_BYTES = 65_536
SHOWN = 1_024
"""Characters of an answer that are kept."""

LONGEST_RETRY_AFTER_S = 86_400.0

MOST_CONNECTIONS = 100
MOST_LOOKUPS = 8
"""Names that are looked up at once, in threads of our own: a name server that hangs holds them."""

LookUp: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a name; OSError where there are none."""


@dataclass(frozen=True)
class Answer:
    """What came of a POST: a status with the beginning of the body, or what went wrong.

    `retry_after_s` is how long the receiver asked to be left alone. `is_final` tells that it is
    not to be tried again: the receiver is gone, or may not be reached.
    """

    status: int | None = None
    body: str | None = None
    error: str | None = None
    retry_after_s: float | None = None
    is_final: bool = False

    @property
    def is_success(self) -> bool:
        """Whether the receiver has taken it."""
        return self.status is not None and self.status // 100 == 2  # noqa: PLR2004 - 2xx


class ReceiverClient:
    """Posts to receivers; never raises for what they do."""

    def __init__(
        self,
        rules: AddressRules,
        clock: Clock,
        look_up: LookUp | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._rules = rules
        self._clock = clock
        self._resolver = _CheckedResolver(rules, look_up)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, address: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post once."""
        try:
            url = self._rules.read(address)
            async with self._open().post(
                url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return await self._read(response)
        except RefusedAddressError as error:
            return Answer(error=str(error), is_final=True)
        except TimeoutError:
            return Answer(error=f"It did not answer within {self._timeout.total:g} s.")
        except (aiohttp.ClientError, OSError) as error:
            return Answer(error=f"It could not be reached ({type(error).__name__}).")

    async def close(self) -> None:
        """Close the connections."""
        await self._resolver.close()
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        # Made with the first POST: to load the certificates takes longer than a start should.
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=self._resolver,
                use_dns_cache=False,
                family=socket.AF_UNSPEC,
                limit=MOST_CONNECTIONS,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # what is packed grows in memory before it can be measured
                trust_env=False,
                headers={"User-Agent": "dspatch", "Accept-Encoding": "identity"},
            )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse) -> Answer:
        text = (await _beginning(response)).decode("utf-8", "replace").replace("\x00", "\ufffd")
        return Answer(
            status=response.status,
            body=text[:SHOWN],
            retry_after_s=retry_after_s(response.headers, self._clock.now(), LONGEST_RETRY_AFTER_S),
            is_final=response.status == 410,  # noqa: PLR2004 - Gone
        )


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """Read at most MAX_ANSWER_BYTES; a body that breaks off is what came of it."""
    body = bytearray()
    with suppress(TimeoutError, aiohttp.ClientError):
        while len(body) < MAX_ANSWER_BYTES:
            chunk = await response.content.read(MAX_ANSWER_BYTES - len(body))
            if not chunk:
                break
            body += chunk
    if len(body) >= MAX_ANSWER_BYTES:
        response.close()
    return bytes(body)


class _CheckedResolver(AbstractResolver):
    """Resolves names for the connector, which connects to nothing else.

    The system is asked in threads of our own: those of others stay free. Whoever asks for a name
    that is being looked up hears what comes of that, so that one whose server hangs holds one
    thread, and leaves the others to other names.
    """

    def __init__(self, rules: AddressRules, look_up: LookUp | None) -> None:
        self._rules = rules
        self._threads = ThreadPoolExecutor(MOST_LOOKUPS, "look up receivers")
        self._look_up = look_up or self._ask_system
        self._asked: dict[tuple[str, int], asyncio.Future[Sequence[str]]] = {}

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await self._found(host, port)
        self._rules.require_public(host, port, addresses)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in dict.fromkeys(addresses)
        ]

    @override
    async def close(self) -> None:
        for asked in self._asked.values():
            asked.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _found(self, host: str, port: int) -> Sequence[str]:
        """Look a name up, or wait for somebody who does; OSError where it has no address."""
        if (host, port) not in self._asked:
            asked = asyncio.ensure_future(self._look_up(host, port))
            self._asked[host, port] = asked
            asked.add_done_callback(lambda _: self._asked.pop((host, port)))
        return await asyncio.shield(self._asked[host, port])

    async def _ask_system(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _addresses, host, port)


def _addresses(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]
