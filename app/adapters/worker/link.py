"""One end of the pair of sockets between parent and child: messages out, messages in."""

import asyncio
from collections.abc import Callable
from typing import Any

from typing_extensions import override

from app.adapters.worker.frames import FrameReader, ProtocolError, frame
from app.adapters.worker.messages import FromChild, FromParent, write


class Link(asyncio.Protocol):
    """Hands each message that arrives to `take`, and tells `lost` once that no more will.

    What `lost` is told is None where the other end has closed, else how it broke the protocol:
    by its frames, or by a message that `take` raises ProtocolError for.
    """

    def __init__(
        self, take: Callable[[bytes], None], lost: Callable[[ProtocolError | None], None]
    ) -> None:
        self._take = take
        self._lost = lost
        self._reader = FrameReader()
        self._transport: asyncio.WriteTransport | None = None
        self._writable = asyncio.Event()

    async def send(self, message: FromChild | FromParent) -> None:
        """Write a message once the other end reads; ValueError where it cannot be written.

        What is sent on a link that has ended is lost, as what was sent shortly before may be.
        """
        payload = frame(write(message))
        await self._writable.wait()
        self._write(payload)

    def post(self, message: FromChild | FromParent) -> None:
        """Write a short message, whether the other end reads or not."""
        self._write(frame(write(message)))

    def close(self) -> None:
        """Close this end; what was written goes out yet, and `lost` is not told."""
        transport, self._transport = self._transport, None
        self._writable.set()
        if transport is not None:
            transport.close()

    @override
    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._writable.set()

    @override
    def data_received(self, data: bytes) -> None:
        try:
            for payload in self._reader.feed(data):
                self._take(payload)
        except ProtocolError as error:
            self._end(error)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._end(None)

    @override
    def pause_writing(self) -> None:
        self._writable.clear()

    @override
    def resume_writing(self) -> None:
        self._writable.set()

    def _write(self, payload: bytes) -> None:
        if self._transport is not None:
            self._transport.write(payload)

    def _end(self, error: ProtocolError | None) -> None:
        if self._transport is not None:
            self.close()
            self._lost(error)
