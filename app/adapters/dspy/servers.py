"""The way to model servers: one pooled session, answers of a bounded size, no redirects."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

MAX_ANSWER_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What a server answered; `headers` ignore case, `body` is decoded."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class AnswerTooLargeError(Exception):
    """The body is longer than the limit; the rest of it was not read."""


class ModelServers:
    """Calls servers over HTTP; aiohttp's errors climb as they are, TimeoutError at the limit.

    A call that is cancelled or fails closes its connection.
    """

    def __init__(self, connect_timeout_s: float = 10.0) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post JSON and read the whole answer, however long it takes once there is a connection."""
        kind = {"Content-Type": "application/json", "Accept": "application/json"}
        return await self._call("POST", url, {**headers, **kind}, None, body)

    async def get(self, url: str, headers: Mapping[str, str], timeout_s: float) -> Answer:
        """Get a document and read it whole."""
        return await self._call("GET", url, headers, timeout_s)

    async def _call(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        timeout_s: float | None,
        body: bytes | None = None,
    ) -> Answer:
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=self._connect_timeout_s)
        # A redirect would carry the key and the prompt to an address that nobody configured.
        async with self._open().request(
            method,
            url,
            data=None if body is None else io.BytesIO(body),
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
        ) as response:
            return Answer(response.status, response.headers, await _read(response))

    def _open(self) -> aiohttp.ClientSession:
        # A session belongs to a running loop, and adapters are built before there is one.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "dspatch"},
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            body.clear()  # or the error would hold it
            raise AnswerTooLargeError
    return bytes(body)
