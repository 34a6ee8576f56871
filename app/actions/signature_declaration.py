"""The ways to declare a signature: fields, notation, or a class in a Python module."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.adapters.signature_modules import SignatureModules
from app.signatures.draft import (
    Draft,
    draft_of_definition,
    draft_of_documents,
    draft_of_notation,
)


@dataclass(frozen=True)
class SignatureDeclaration:
    """One of fields, notation and module; instructions win over those of a module."""

    instructions: str = ""
    inputs: Sequence[Mapping[str, Any]] = ()
    outputs: Sequence[Mapping[str, Any]] = ()
    notation: str | None = None
    signature_module: str | None = None

    async def read(self, modules: SignatureModules) -> Draft:
        """Read it; raises SignatureError for what is no notation, and ModuleLoadingError."""
        if self.signature_module is not None:
            loaded = await modules.load(self.signature_module)
            told = self.instructions or loaded.instructions
            return draft_of_definition(replace(loaded, instructions=told))
        return await asyncio.to_thread(self._read)  # megabytes of fields take seconds

    def _read(self) -> Draft:
        if self.notation is not None:
            return draft_of_notation(self.notation, self.instructions)
        return draft_of_documents(self.inputs, self.outputs, self.instructions)
