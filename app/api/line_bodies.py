"""Bodies of JSON Lines: read line by line, as strictly as JSON, however long they are."""

from collections.abc import AsyncIterator, Sequence, Sized
from hashlib import sha256
from typing import Any

from fastapi import Request

from app.actions.batch_processing.validation import Incoming
from app.api.bodies import chunks_of, read_value
from app.errors import Fault, InvalidRequestError, MalformedBodyError, PayloadTooLargeError
from app.settings import LimitsSettings

_BLANK = b" \t\r"
"""What a line may hold that is no item: JSON's white space."""


class LineBody:
    """The items of a body, one a line; blank lines are none, and are counted where faults are told.

    It can be read once.
    """

    def __init__(self, request: Request, limits: LimitsSettings) -> None:
        self._request = request
        self._limits = limits
        self._hash = sha256()

    def hash(self) -> bytes:
        """Give the SHA-256 of what has been read."""
        return self._hash.digest()

    async def items(self) -> AsyncIterator[Incoming]:
        """Give the items; raises PayloadTooLargeError and MalformedBodyError."""
        index, number = 0, 0
        async for lines in self._lines():
            for line in lines:
                if line.strip(_BLANK):
                    yield self._item(index, number, line)
                    index += 1
                number += 1

    def _item(self, index: int, number: int, line: bytes) -> Incoming:
        value: Any
        faults: Sequence[Fault] = ()
        try:
            value = read_value(line, self._limits.depth)
        except MalformedBodyError as error:
            value, faults = _text(line), [Fault("", "malformed", error.detail)]
        except InvalidRequestError as error:
            value, faults = _text(line), error.faults
        return Incoming(index, None, value, f"/lines/{number}", faults)

    async def _lines(self) -> AsyncIterator[Sequence[bytes]]:
        """Give whole lines, several at once, without their ends.

        A line is copied once, in however many pieces it comes.
        """
        begun = bytearray()
        async for chunk in chunks_of(self._request, self._limits.upload_bytes):
            self._hash.update(chunk)
            first, *others = chunk.split(b"\n")
            begun += first
            whole = [bytes(begun), *others[:-1]] if others else []
            if others:
                begun = bytearray(others[-1])
            for line in (*whole, begun):
                self._require_short(line)
            yield whole
        yield [bytes(begun)]

    def _require_short(self, line: Sized) -> None:
        longest = self._limits.json_bytes
        if len(line) > longest:
            raise PayloadTooLargeError(f"A line of the body may have {longest} bytes.")


def _text(line: bytes) -> str:
    return line.decode(errors="replace")
