"""The edge: uvicorn's protocol, with a deadline and a limit for everything that clients send.

uvicorn itself waits for a request as long as it takes.
"""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import uvicorn
from fastapi import FastAPI, Request
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from app.api.admission import RETRY_AFTER_S
from app.api.problems import problem_response
from app.errors import (
    DspatchError,
    HeadTooLargeError,
    MalformedRequestError,
    RequestTimeoutError,
    ServerBusyError,
)
from app.settings import LimitsSettings

LINGER_S = 1.0
"""How long a refused client may read why; who closes at once resets what was not read yet."""


class EdgeConfig(uvicorn.Config):
    """What a server is made of, with the limits of its edge."""

    def __init__(self, app: FastAPI, limits: LimitsSettings, **options: Any) -> None:
        super().__init__(app, http=EdgeProtocol, ws="none", **options)
        self.limits = limits


class EdgeProtocol(HttpToolsProtocol):
    """One connection; it is in the head of a request, in its body, or between two requests."""

    def __init__(
        self,
        config: EdgeConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = config.limits
        self._timer: asyncio.TimerHandle | None = None
        self._is_in_head = False
        self._is_refused = False
        self._received = 0

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._refuse(
                ServerBusyError("There are too many connections.", retry_after_s=RETRY_AFTER_S)
            )
        else:
            self._begin_head()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        super().data_received(data)
        self._received += len(data)
        if self._is_in_head and self._received > self._limits.header_bytes:
            self._refuse(self._too_large())

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._is_in_head:
            self._begin_head()

    @override
    def on_headers_complete(self) -> None:
        if self._is_refused:
            return
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self._limits.header_bytes:
            self._refuse(self._too_large())
            return
        self._is_in_head = False
        super().on_headers_complete()
        self._begin_part_of_body()

    @override
    def on_body(self, body: bytes) -> None:
        if not self._is_refused:
            super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        if not self._is_refused:
            self._stop_timer()
            super().on_message_complete()

    @override
    def send_400_response(self, msg: str) -> None:
        self._refuse(MalformedRequestError("The request is not HTTP/1.1 as its standard says."))

    def _begin_head(self) -> None:
        self._is_in_head = True
        self._wait(self._limits.header_seconds, self._end_head)

    def _end_head(self) -> None:
        """The time of the head is over; who has said nothing is answered nothing."""
        if self._received:
            self._refuse(RequestTimeoutError("The headers did not come in time."))
        else:
            self.transport.close()

    def _begin_part_of_body(self) -> None:
        self._received = 0
        self._wait(self._limits.body_seconds, self._end_part_of_body)

    def _end_part_of_body(self) -> None:
        """Go on, if enough of the body has come, or it was we who did not take more of it.

        Nobody reads more of the body of a request that is answered, however fast it comes.
        """
        least = self._limits.body_bytes_per_second * self._limits.body_seconds
        is_ours = self.flow.read_paused or self.cycle.waiting_for_100_continue
        if (is_ours or self._received >= least) and not self.cycle.response_complete:
            self._begin_part_of_body()
        else:
            self._refuse(RequestTimeoutError("The body came too slowly."))

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, then)

    def _stop_timer(self) -> None:
        self._received = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_large(self) -> HeadTooLargeError:
        return HeadTooLargeError(f"Path and headers may have {self._limits.header_bytes} bytes.")

    def _refuse(self, error: DspatchError) -> None:
        """Answer, unless an answer is under way, and close; nothing is read any more."""
        self._is_refused = True
        self._stop_timer()
        self._unset_keepalive_if_required()
        if self._may_answer():
            self.transport.write(_written(error))
        if (cycle := self._latest) is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.write_eof()
        self._timer = self.loop.call_later(LINGER_S, self.transport.close)

    def _may_answer(self) -> bool:
        if (cycle := self._latest) is None:
            return True
        return cycle.response_complete if self._is_in_head else not cycle.response_started

    @property
    def _latest(self) -> RequestResponseCycle | None:
        """The request that came last, if any did."""
        return self.cycle


def _written(error: DspatchError) -> bytes:
    """Write a whole answer: there is no application behind it."""
    request_id = str(uuid4())
    request = Request({"type": "http", "state": {"request_id": request_id}})
    answer = problem_response(request, error)
    headers = [
        *answer.raw_headers,
        (b"x-request-id", request_id.encode()),
        (b"connection", b"close"),
    ]
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return STATUS_LINE[answer.status_code] + lines + b"\r\n" + bytes(answer.body)
