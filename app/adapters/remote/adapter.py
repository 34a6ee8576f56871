"""The adapter that has another Dspatch run programs."""

from typing import ClassVar
from uuid import UUID

import httpx
from typing_extensions import override

from app.adapters.base import AdapterHealth, Program, ProgramCall, ProgramResult
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.prepared import PreparingAdapter
from app.adapters.remote.answers import is_good, refusal
from app.adapters.remote.client import RemoteClient
from app.adapters.remote.executions import RemoteExecutions
from app.adapters.remote.options import RemoteOptions
from app.adapters.remote.programs import RemotePrograms
from app.adapters.setup import AdapterSetup, read_options
from app.settings import SettingsError
from app.signatures.compile import CompiledSignature
from app.signatures.definition import SignatureDefinition


class RemoteAdapter(PreparingAdapter[str]):
    """Registers programs on another Dspatch and executes them there; they are held by their ids."""

    kind: ClassVar[str] = "remote"

    def __init__(
        self, setup: AdapterSetup, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        super().__init__(setup.name)
        options = read_options(setup, RemoteOptions)
        try:
            key = options.key(setup.environment)
        except SettingsError as error:
            raise SettingsError(f"adapters.{setup.name}: {error}") from None
        self._clock = setup.clock
        self._client = RemoteClient(options.url, key, transport)
        self._there = RemotePrograms(self._client, options.adapter, setup.clock)
        self._executions = RemoteExecutions(self._client, setup.clock)

    @override
    async def prepare(self, program: Program) -> str:
        return await self._there.prepare(program)

    @override
    async def run(self, prepared: str, call: ProgramCall) -> ProgramResult:
        try:
            return await self._executions.run(prepared, call, self.name)
        except AdapterError as failure:
            if failure.type is not ErrorType.PROGRAM_NOT_FOUND:
                raise
        # It was archived there, or its database is another one now; nothing has run.
        self._programs.forget(call.program.program_id)
        again = await self._programs.get(call.program)
        return await self._executions.run(again, call, self.name)

    @override
    async def delete_program(self, program_id: UUID) -> bool:
        was_held = await super().delete_program(program_id)
        return await self._there.archive(program_id) or was_held

    async def validate_signature(self, signature: SignatureDefinition) -> None:
        """Take every signature that stands."""
        CompiledSignature(signature)

    async def health_check(self) -> AdapterHealth:
        """Ask whether the other Dspatch is one, is ready, and knows the key; never raises."""
        began = self._clock.monotonic()
        try:
            await self._see_it_ready()
            error = None
        except AdapterError as failure:
            error = failure.message
        return AdapterHealth(error is None, (self._clock.monotonic() - began) * 1_000, error)

    async def _see_it_ready(self) -> None:
        answer = await self._client.get("/readyz")
        if not is_good(answer):
            raise refusal(answer, self._clock.now())
        await self._there.look()

    @override
    async def cleanup(self) -> None:
        await super().cleanup()
        await self._executions.close()
        await self._client.close()
