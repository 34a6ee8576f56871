"""The program of a child whose adapter does what no program should; the first input says what."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import override

from app.adapters.base import ProgramCall, ProgramResult
from app.adapters.mock import MockAdapter
from app.adapters.worker.child import main


async def print_much() -> None:
    """Print, from Python and from below."""
    sys.stdout.write("printed by a program\n")
    sys.stdout.flush()
    os.write(1, b"\x00\x01\x02\x03 written below\n")


async def compute() -> None:
    """Block the event loop, for as long as three signs of life take."""
    until = time.monotonic() + 3
    while time.monotonic() < until:
        pass


async def hold_on() -> None:
    """Do not let itself be stopped."""
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            continue


async def leave() -> None:
    """End the process."""
    sys.exit(0)


MANNERS: Mapping[str, Callable[[], Any]] = {
    "print": print_much,
    "compute": compute,
    "hold on": hold_on,
    "leave": leave,
}


class RudeAdapter(MockAdapter):
    """Does as the question says, and answers if it comes to that."""

    @override
    async def execute_program(self, call: ProgramCall) -> ProgramResult:
        """Do it."""
        word = call.inputs["question"]
        if word in MANNERS:
            await MANNERS[word]()
        return ProgramResult({"answer": word}, self.name)


if __name__ == "__main__":
    main({"mock": RudeAdapter})
