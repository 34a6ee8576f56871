"""Prepare a program on its adapter, and say where that leaves it."""

import asyncio
import logging
from typing import NamedTuple

from app.adapters.base import Program as AdapterProgram
from app.adapters.errors import AdapterError
from app.adapters.registry import AdapterRegistry
from app.errors import Fault, InvalidRequestError
from app.models.states import ProgramStatus

logger = logging.getLogger(__name__)

PREPARATION_TIMEOUT_S = 60.0


class Verdict(NamedTuple):
    """Where a preparation leaves a program, and why."""

    status: ProgramStatus
    reason: str | None = None


class ProgramPreparation:
    """Prepares programs; what a program's row says of it is its caller's."""

    def __init__(self, adapters: AdapterRegistry, timeout_s: float = PREPARATION_TIMEOUT_S) -> None:
        self._adapters = adapters
        self._timeout_s = timeout_s

    async def __call__(self, name: str, program: AdapterProgram) -> Verdict:
        """Prepare a program on the adapter of this name; never raises but when cancelled."""
        adapter = self._adapters.find(name)
        if adapter is None:
            return Verdict(ProgramStatus.ERROR, f"There is no adapter {name!r}.")
        try:
            async with asyncio.timeout(self._timeout_s):
                await adapter.create_program(program)
        except AdapterError as error:
            return Verdict(ProgramStatus.ERROR, error.message)
        except TimeoutError:
            return Verdict(ProgramStatus.ERROR, f"The adapter took over {self._timeout_s:g} s.")
        except Exception as error:
            logger.exception("adapter %s raised what is no AdapterError", adapter.name)
            return Verdict(ProgramStatus.ERROR, f"The adapter failed: {type(error).__name__}.")
        return Verdict(ProgramStatus.READY)


def require_adapter(adapters: AdapterRegistry, name: str) -> None:
    """Raise InvalidRequestError where no adapter has the name that a request gives."""
    if adapters.find(name) is None:
        known = ", ".join(adapters.names())
        fault = Fault("/adapter", "unknown", f"there is no adapter {name!r}", known, name)
        raise InvalidRequestError("No adapter has this name.", faults=[fault])
