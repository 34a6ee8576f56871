"""The way to another Dspatch: HTTP with a key, without redirects, answers of a bounded size."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from app.adapters.errors import AdapterError, ErrorType
from app.adapters.json_values import read_json
from app.telemetry import current_trace_id
from app.telemetry.tracing import current_traceparent

MAX_ANSWER_BYTES = 16 * 1024 * 1024
CONNECT_TIMEOUT_S = 5.0
CALL_TIMEOUT_S = 10.0
"""How long a call may take that runs no program."""


@dataclass(frozen=True)
class Answer:
    """What came back; `document` is the body as JSON, or `fault` says why it is none.

    `headers` ignore case.
    """

    status: int
    headers: Mapping[str, str]
    document: Any = None
    fault: str | None = None


class RemoteClient:
    """Calls the routes of another Dspatch.

    A call whose connection broke is sent once more. None of them does harm twice: executions carry
    an idempotency key, and what else is made has a name. Raises AdapterError, `connection_failed`
    or `timeout`, where nothing came back; what came back is for others to judge.
    """

    def __init__(
        self,
        url: str,
        key: str | None,
        transport: httpx.AsyncBaseTransport | None = None,
        patience_s: float = CALL_TIMEOUT_S,
    ) -> None:
        self._url = url.rstrip("/")
        # Packed answers grow in memory before they can be measured.
        self._headers = {"User-Agent": "dspatch", "Accept-Encoding": "identity"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._transport = transport
        self._patience_s = patience_s
        self._client: httpx.AsyncClient | None = None

    async def get(self, path: str, **params: str) -> Answer:
        """Read something."""
        return await self._soon("GET", path, params=params)

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Make or move something."""
        return await self._soon("POST", path, content=b"" if body is None else _written(body))

    async def execute(self, path: str, body: Mapping[str, Any], ids: Mapping[str, str]) -> Answer:
        """Run a program, for as long as it takes; `ids` are headers that tell the run."""
        return await self._send("POST", path, content=_written(body), headers=ids)

    async def _soon(self, method: str, path: str, **request: Any) -> Answer:
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._send(method, path, **request)
        except TimeoutError:
            message = f"the remote Dspatch did not answer within {self._patience_s:g} s"
            raise AdapterError(ErrorType.TIMEOUT, message) from None

    async def _send(self, method: str, path: str, **request: Any) -> Answer:
        try:
            return await self._once(method, path, **request)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _failed("could not be reached", error) from error
        except httpx.TransportError:
            pass
        try:
            return await self._once(method, path, **request)
        except httpx.TransportError as error:
            raise _failed("broke the connection", error) from error

    async def _once(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **request: Any
    ) -> Answer:
        own = {"Content-Type": "application/json", **(headers or {}), **_trace()}
        async with self._open().stream(
            method, self._url + path, headers=own, **request
        ) as response:
            return Answer(response.status_code, response.headers, *await _read(response))

    def _open(self) -> httpx.AsyncClient:
        # Made with the first call: to load the certificates takes longer than a start should.
        if self._client is None:
            self._client = httpx.AsyncClient(
                headers=self._headers,
                http2=True,
                timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
                transport=self._transport,
                trust_env=False,
            )
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()


def _failed(what: str, error: Exception) -> AdapterError:
    message = f"the remote Dspatch {what} ({type(error).__name__})"
    return AdapterError(ErrorType.CONNECTION_FAILED, message)


def _written(body: Mapping[str, Any]) -> bytes:
    """Write a body as JSON; its numbers may be of any size."""
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()


def _trace() -> dict[str, str]:
    """Give the header that continues the current span, or the trace where no span is kept."""
    if (traceparent := current_traceparent()) is not None:
        return {"traceparent": traceparent}
    trace_id = current_trace_id.get()
    return {} if trace_id is None else {"traceparent": f"00-{trace_id}-{uuid4().hex[:16]}-01"}


async def _read(response: httpx.Response) -> tuple[Any, str | None]:
    """Give the body as JSON, or what is wrong with it."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return None, "it is packed, unasked"
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            return None, "it is too large"
    try:
        return read_json(bytes(body)), None
    except ValueError as error:
        return None, f"it is not JSON that can be trusted: {error}"
