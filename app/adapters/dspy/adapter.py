"""The adapter that runs programs by DSPy, in this process; DSPy itself is imported on first use."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

import aiohttp
from pydantic import BaseModel, ConfigDict
from typing_extensions import override

from app.adapters.base import AdapterHealth, Program, ProgramCall, ProgramResult
from app.adapters.dspy.endpoints import Endpoint, ServedLM, read_lms
from app.adapters.dspy.loading import import_programs
from app.adapters.dspy.servers import AnswerTooLargeError, ModelServers
from app.adapters.dspy.surroundings import Surroundings
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.prepared import PreparingAdapter
from app.adapters.setup import AdapterSetup, read_options
from app.signatures.definition import SignatureDefinition
from app.signatures.states import ModuleShape

if TYPE_CHECKING:
    from app.adapters.dspy.programs import DspyPrograms, PreparedProgram

HEALTH_TIMEOUT_S = 2.0
"""How long a model server may take to list its models."""

logger = logging.getLogger(__name__)


class DspyOptions(BaseModel):
    """The options of a `dspy` adapter: there are none, its LMs stand in `[lms]`."""

    model_config = ConfigDict(extra="forbid")


class DspyAdapter(PreparingAdapter["PreparedProgram"]):
    """Runs `predict`, `chain_of_thought` … on the LMs of the settings."""

    kind: ClassVar[str] = "dspy"

    def __init__(
        self,
        setup: AdapterSetup,
        load: "Callable[[], Awaitable[type[DspyPrograms]]]" = import_programs,
    ) -> None:
        super().__init__(setup.name)
        read_options(setup, DspyOptions)
        self._lms = read_lms(setup.lms, setup.environment)
        self._limiters = setup.lm_limiters
        self._clock = setup.clock
        self._metrics = setup.metrics
        self._servers = ModelServers()
        self._load = load
        self._loading: asyncio.Task[DspyPrograms] | None = None

    @override
    async def prepare(self, program: Program) -> "PreparedProgram":
        return (await self._loaded()).prepare(program)

    @override
    async def run(self, prepared: "PreparedProgram", call: ProgramCall) -> ProgramResult:
        return await (await self._loaded()).run(prepared, call, self.name)

    async def validate_signature(self, signature: SignatureDefinition) -> None:
        """Raise `unsupported` where DSPy cannot hold the signature."""
        await asyncio.to_thread((await self._loaded()).check_signature, signature)

    async def module_shape(self, program: Program) -> ModuleShape:
        """Say what a program's state holds; `unsupported` where its module cannot be built."""
        return (await self._loaded()).module_shape(program)

    async def convert_signature(self, signature: SignatureDefinition) -> SignatureDefinition:
        """Give the signature as it comes back out of a `dspy.Signature` class."""
        return await asyncio.to_thread((await self._loaded()).convert_signature, signature)

    async def warm_up(self) -> None:
        """Import DSPy now, in a thread; a failure shows in the health check and in every call."""
        if not self._is_needed:
            return
        try:
            await self._loaded()
        except AdapterError as error:
            logger.error(error.message, exc_info=error.__cause__)  # noqa: TRY400 - its cause tells more

    async def health_check(self) -> AdapterHealth:
        """Wait for DSPy's import, and ask every LM's server for its models; never raises.

        Where there was no need for DSPy, all is well.
        """
        if not self._is_needed:
            return AdapterHealth(healthy=True, latency_ms=0.0)
        started = self._clock.monotonic()
        faults = await asyncio.gather(self._dspy_fault(), *map(self._server_fault, self._lms))
        latency_ms = (self._clock.monotonic() - started) * 1_000
        error = "; ".join(fault for fault in faults if fault)
        return AdapterHealth(not error, latency_ms, error or None)

    @override
    async def cleanup(self) -> None:
        await super().cleanup()
        if self._loading is not None:
            self._loading.cancel()
        await self._servers.close()

    @property
    def _is_needed(self) -> bool:
        """Whether DSPy is wanted, whose import costs seconds: no program runs without an LM."""
        return bool(self._lms) or self._loading is not None

    async def _loaded(self) -> "DspyPrograms":
        if self._loading is None:
            self._loading = asyncio.create_task(self._load_programs())
        # One caller that is cancelled must not stop the import that all wait for.
        return await asyncio.shield(self._loading)

    async def _load_programs(self) -> "DspyPrograms":
        try:
            programs = await self._load()
        except Exception as error:
            message = f"DSPy could not be imported ({type(error).__name__})"
            raise AdapterError(ErrorType.UNEXPECTED, message) from error
        around = Surroundings(self._servers, self._limiters, self._clock, self._metrics)
        return programs(self._lms, around)

    async def _dspy_fault(self) -> str | None:
        try:
            await self._loaded()
        except AdapterError as error:
            return error.message
        return None

    async def _server_fault(self, lm: ServedLM) -> str | None:
        if lm.endpoint is None:
            return None
        try:
            status = await self._list_models(lm.endpoint)
        except (aiohttp.ClientError, OSError, AnswerTooLargeError) as error:
            return f"the server of the LM {lm.name} does not answer ({type(error).__name__})"
        refused = status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
        if refused or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return f"the server of the LM {lm.name} answers {status}"
        return None

    async def _list_models(self, endpoint: Endpoint) -> int:
        url = endpoint.url("models")
        return (await self._servers.get(url, endpoint.headers, HEALTH_TIMEOUT_S)).status
