"""An adapter that answers with what it was asked, or as the program's config says."""

import asyncio
import json
from collections.abc import Mapping
from random import Random
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from app.adapters.base import AdapterHealth, Program, ProgramCall, ProgramResult
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.prepared import PreparingAdapter
from app.adapters.setup import AdapterSetup, describe, read_options
from app.adapters.usage import Usage
from app.signatures.compile import CompiledSignature
from app.signatures.definition import SignatureDefinition


class EchoOptions(BaseModel):
    """What stands beside `kind` in the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    is_out_of_order: bool = False


class Echo(BaseModel):
    """What a program's `config.echo` may ask for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    says: dict[str, Any] | None = None
    fails: ErrorType | None = None
    hangs: bool = False


class EchoAdapter(PreparingAdapter[Echo]):
    """Runs programs by repeating; a program that is prepared is what its config asks for."""

    kind: ClassVar[str] = "echo"

    def __init__(self, setup: AdapterSetup) -> None:
        super().__init__(setup.name)
        self._options = read_options(setup, EchoOptions)

    async def prepare(self, program: Program) -> Echo:
        """Read the config; what is wrong with it is refused before there is a call."""
        try:
            return Echo.model_validate(program.config.get("echo", {}))
        except ValidationError as error:
            faults = "; ".join(describe(error, "config.echo"))
            raise AdapterError(ErrorType.INVALID_REQUEST, faults) from None

    async def run(self, prepared: Echo, call: ProgramCall) -> ProgramResult:
        """Answer, fail or hang."""
        call.told.usage = Usage(lm_calls=1)  # at once: a call that is stopped gives no result
        if prepared.hangs:
            await asyncio.Event().wait()
        if prepared.fails is not None:
            wait_s = 7.0 if prepared.fails is ErrorType.RATE_LIMITED else None
            raise AdapterError(
                prepared.fails, "as it was told", retry_after=wait_s, usage=call.told.usage
            )
        outputs = _repeated(call) if prepared.says is None else prepared.says
        return ProgramResult(outputs, self.name, raw_output=outputs, usage=call.told.usage)

    async def validate_signature(self, signature: SignatureDefinition) -> None:
        """Take every signature."""

    async def health_check(self) -> AdapterHealth:
        """Be well, unless the options say otherwise."""
        error = "out of order" if self._options.is_out_of_order else None
        return AdapterHealth(error is None, 0.0, error)


def _repeated(call: ProgramCall) -> Mapping[str, Any]:
    """Give outputs of the signature's types, the same for the same inputs."""
    signature = CompiledSignature(call.program.signature)
    return signature.sample_outputs(Random(json.dumps(dict(call.inputs))))  # noqa: S311 - no secret
