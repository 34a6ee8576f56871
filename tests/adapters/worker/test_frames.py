"""Frames: what is cut anywhere on its way comes out whole, and nothing too long is waited for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.worker.frames import (
    HEAD,
    MAX_FRAME_BYTES,
    FrameReader,
    FrameTooLongError,
    ProtocolError,
    frame,
)


@given(
    payloads=st.lists(st.binary(max_size=300), max_size=5),
    cuts=st.lists(st.integers(1, 50), min_size=1),
)
def test_messages_arrive_whole_and_in_order(payloads: list[bytes], cuts: list[int]) -> None:
    """However the stream is cut into pieces."""
    stream = b"".join(map(frame, payloads))
    reader = FrameReader()
    arrived: list[bytes] = []
    while stream:
        size = cuts[len(stream) % len(cuts)]
        arrived += reader.feed(stream[:size])
        stream = stream[size:]
    assert arrived == payloads


@pytest.mark.parametrize("length", [MAX_FRAME_BYTES + 1, 2**31, 2**32 - 1])
def test_a_length_over_the_limit_is_a_breach(length: int) -> None:
    """It is told by the head, before anything of the message is there."""
    with pytest.raises(ProtocolError, match=f"a frame of {length} bytes"):
        list(FrameReader().feed(HEAD.pack(length, 0)))


@pytest.mark.parametrize("at", range(1, 10))
def test_a_frame_that_was_torn_is_a_breach(at: int) -> None:
    """As where two processes write to one pipe: the end of a message is another's."""
    first, second = frame(b"0123456789"), frame(b"abcdefghij")
    with pytest.raises(ProtocolError, match="does not fit its checksum"):
        list(FrameReader().feed(first[: HEAD.size + at] + second + first))


def test_a_message_over_the_limit_is_not_written() -> None:
    """The limit itself is, and is read."""
    longest = bytes(MAX_FRAME_BYTES)
    assert list(FrameReader().feed(frame(longest))) == [longest]
    with pytest.raises(FrameTooLongError):
        frame(longest + b"x")
