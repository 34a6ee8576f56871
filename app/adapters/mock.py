"""The adapter without a back-end: it answers as it is told, so that clients can rehearse."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError
from typing_extensions import override

from app.adapters.base import AdapterHealth, Program, ProgramCall, ProgramResult
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.prepared import PreparingAdapter
from app.adapters.setup import AdapterSetup, describe, read_options
from app.adapters.usage import Usage
from app.signatures.compile import CompiledSignature, NoSampleError
from app.signatures.definition import SignatureDefinition

Milliseconds = Annotated[float, Field(ge=0, le=3_600_000, allow_inf_nan=False)]


class MockModel(BaseModel):
    """A table of a script: frozen, strict, and closed to names that it does not know."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class MockFailure(MockModel):
    """The error of a script: raised the first `times` attempts of an execution, or always."""

    type: Annotated[ErrorType, Strict(strict=False)]
    message: str = "the script says so"
    retry_after: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    times: Annotated[int, Field(ge=0)] | None = None


class MockScript(MockModel):
    """What a mock does in a call: wait, then raise its error or give its outputs."""

    latency_ms: Milliseconds = 0
    outputs: dict[str, Any] | None = None
    error: MockFailure | None = None


class MockOptions(MockScript):
    """The script of a whole adapter, and of its health."""

    health_latency_ms: Milliseconds = 0
    health_error: str | None = None


@dataclass(frozen=True)
class PreparedMock:
    """A program with the script that holds for it."""

    latency_ms: float
    outputs: Mapping[str, Any] | None
    error: MockFailure | None
    signature: CompiledSignature


class MockAdapter(PreparingAdapter[PreparedMock]):
    """Runs programs by script; without one its outputs are samples of the output types."""

    kind: ClassVar[str] = "mock"

    def __init__(self, setup: AdapterSetup) -> None:
        super().__init__(setup.name)
        self._clock = setup.clock
        self._options = read_options(setup, MockOptions)

    @override
    async def prepare(self, program: Program) -> PreparedMock:
        own = _read_script(program.config)
        script = {name: getattr(self._options, name) for name in MockScript.model_fields}
        script |= {name: getattr(own, name) for name in own.model_fields_set}
        return PreparedMock(**script, signature=CompiledSignature(program.signature))

    @override
    async def run(self, prepared: PreparedMock, call: ProgramCall) -> ProgramResult:
        call.told.usage = Usage(lm_calls=1)
        await self._clock.sleep(prepared.latency_ms / 1_000)
        _raise_scripted(prepared.error, call.attempt)
        outputs = _outputs(prepared, call.inputs)
        return ProgramResult(outputs, self.name, raw_output=outputs, usage=Usage(lm_calls=1))

    async def validate_signature(self, signature: SignatureDefinition) -> None:
        """Take every signature that stands."""
        CompiledSignature(signature)

    async def health_check(self) -> AdapterHealth:
        """Say what the options say, after as long as they say."""
        latency_ms = self._options.health_latency_ms
        await self._clock.sleep(latency_ms / 1_000)
        error = self._options.health_error
        return AdapterHealth(error is None, latency_ms, error)


def _read_script(config: Mapping[str, Any]) -> MockScript:
    try:
        return MockScript.model_validate(config.get("mock", {}))
    except ValidationError as error:
        faults = "; ".join(describe(error, "config.mock"))
        raise AdapterError(ErrorType.INVALID_REQUEST, faults) from None


def _raise_scripted(failure: MockFailure | None, attempt: int) -> None:
    if failure is None or (failure.times is not None and attempt > failure.times):
        return
    raise AdapterError(
        failure.type,
        failure.message,
        retry_after=failure.retry_after,
        usage=Usage(lm_calls=1),
    )


def _outputs(prepared: PreparedMock, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    if prepared.outputs is not None:
        return prepared.outputs
    seed = json.dumps(inputs, sort_keys=True, default=str)
    source = random.Random(seed)  # noqa: S311 - the same inputs must give the same outputs
    try:
        return prepared.signature.sample_outputs(source)
    except NoSampleError as error:
        message = f"there are no sample outputs, script them in config.mock: {error}"
        raise AdapterError(ErrorType.UNSUPPORTED, message) from None
