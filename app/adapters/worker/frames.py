"""Frames: a message between parent and child as bytes, its length and its checksum in front."""

import struct
from collections.abc import Iterator
from zlib import crc32

HEAD = struct.Struct("!II")
MAX_FRAME_BYTES = 32 * 1024 * 1024
"""The longest message: an input of 8 MiB, or an answer of 16 MiB with what the model said."""


class ProtocolError(Exception):
    """The other end sent what is no frame, no message, or no answer to what it was asked."""


class FrameTooLongError(ValueError):
    """A message does not fit into a frame; nothing of it was sent."""


def frame(payload: bytes) -> bytes:
    """Put the head in front of a message; FrameTooLongError where no reader would take it."""
    if len(payload) > MAX_FRAME_BYTES:
        raise FrameTooLongError(f"{len(payload)} bytes do not fit into {MAX_FRAME_BYTES}")
    return HEAD.pack(len(payload), crc32(payload)) + payload


class FrameReader:
    """Cuts what arrives into messages; no more is kept than what arrived of the next one."""

    def __init__(self) -> None:
        self._arrived = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give each message that is whole now; ProtocolError where it is too long, or torn."""
        self._arrived += data
        while len(self._arrived) >= HEAD.size:
            length, checksum = HEAD.unpack_from(self._arrived)
            if length > MAX_FRAME_BYTES:
                raise ProtocolError(f"a frame of {length} bytes")
            end = HEAD.size + length
            if len(self._arrived) < end:
                return
            payload = bytes(self._arrived[HEAD.size : end])
            del self._arrived[:end]
            if crc32(payload) != checksum:
                raise ProtocolError("a frame that does not fit its checksum")
            yield payload
