"""The compiled states of programs: what a program has, and what one may be given."""

from collections.abc import Mapping
from typing import Any

from app.adapters.base import Program as AdapterProgram
from app.adapters.errors import AdapterError
from app.adapters.registry import AdapterRegistry
from app.errors import InvalidStateError, StateUnavailableError
from app.signatures.states import ModuleShape, StateError


class ProgramStates:
    """Reads states through the shape of the module that they are for."""

    def __init__(self, adapters: AdapterRegistry) -> None:
        self._adapters = adapters

    async def fresh(self, adapter: str, program: AdapterProgram) -> dict[str, Any]:
        """Give the state before any compiling; StateUnavailableError where nobody can say."""
        return (await self._shape(adapter, program)).fresh_state()

    async def read(
        self, adapter: str, program: AdapterProgram, document: Mapping[str, Any], root: str = ""
    ) -> dict[str, Any]:
        """Give the state that a document holds; the paths of faults begin with `root`.

        Raises InvalidStateError and StateUnavailableError.
        """
        shape = await self._shape(adapter, program)
        try:
            return shape.read_state(document)
        except StateError as error:
            faults = [fault.under(root) for fault in error.faults]
            raise InvalidStateError("The state does not fit the program.", faults=faults) from None

    async def _shape(self, adapter: str, program: AdapterProgram) -> ModuleShape:
        try:
            return await self._adapters.module_shape(adapter, program)
        except AdapterError as error:
            raise StateUnavailableError(f"There is no state: {error.message}.") from None
