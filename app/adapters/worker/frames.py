"""Frames: a message between parent and child as bytes, its length in four of them in front."""

from collections.abc import Iterator

LENGTH_BYTES = 4
MAX_FRAME_BYTES = 32 * 1024 * 1024
"""The longest message: an input of 8 MiB, or an answer of 16 MiB with what the model said."""


class ProtocolError(Exception):
    """The other end sent what is no frame, no message, or no answer to what it was asked."""


class FrameTooLongError(ValueError):
    """A message does not fit into a frame; nothing of it was sent."""


def frame(payload: bytes) -> bytes:
    """Put the length in front of a message; FrameTooLongError where no reader would take it."""
    if len(payload) > MAX_FRAME_BYTES:
        raise FrameTooLongError(f"{len(payload)} bytes do not fit into {MAX_FRAME_BYTES}")
    return len(payload).to_bytes(LENGTH_BYTES, "big") + payload


class FrameReader:
    """Cuts what arrives into messages; no more is kept than what arrived of the next one."""

    def __init__(self) -> None:
        self._arrived = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give each message that is whole now; ProtocolError at a length over the limit."""
        self._arrived += data
        while len(self._arrived) >= LENGTH_BYTES:
            end = LENGTH_BYTES + self._length()
            if len(self._arrived) < end:
                return
            payload = bytes(self._arrived[LENGTH_BYTES:end])
            del self._arrived[:end]
            yield payload

    def _length(self) -> int:
        length = int.from_bytes(self._arrived[:LENGTH_BYTES], "big")
        if length > MAX_FRAME_BYTES:
            raise ProtocolError(f"a frame of {length} bytes")
        return length
