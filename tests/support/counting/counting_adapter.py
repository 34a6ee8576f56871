"""An adapter from another package, whose model is a `CountingModel` in the process of the test."""

import asyncio
from typing import ClassVar

from pydantic import BaseModel
from typing_extensions import override

from app.adapters.base import AdapterHealth, Program, ProgramCall, ProgramResult
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.prepared import PreparingAdapter
from app.adapters.setup import AdapterSetup, read_options
from app.signatures.definition import SignatureDefinition


class CountingOptions(BaseModel):
    """Where the model listens."""

    port: int


class CountingAdapter(PreparingAdapter[Program]):
    """Asks the model one question on a connection of its own, which ends with this process."""

    kind: ClassVar[str] = "counting"

    def __init__(self, setup: AdapterSetup) -> None:
        super().__init__(setup.name)
        self._port = read_options(setup, CountingOptions).port

    @override
    async def prepare(self, program: Program) -> Program:
        return program

    @override
    async def run(self, prepared: Program, call: ProgramCall) -> ProgramResult:
        question = call.inputs["question"]
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError as error:
            raise AdapterError(ErrorType.CONNECTION_FAILED, str(error)) from error
        try:
            writer.write(f"{question}\n".encode())
            answer = (await reader.readline()).decode().strip()
        finally:
            writer.close()
        if not answer:
            raise AdapterError(ErrorType.CONNECTION_FAILED, "the model has gone")
        if answer == "no":
            raise AdapterError(ErrorType.INVALID_REQUEST, f"no answer to {question}")
        return ProgramResult({"answer": answer}, self.name)

    async def validate_signature(self, signature: SignatureDefinition) -> None:
        """Take every signature."""

    async def health_check(self) -> AdapterHealth:
        """Be well."""
        return AdapterHealth(healthy=True, latency_ms=0.0)
