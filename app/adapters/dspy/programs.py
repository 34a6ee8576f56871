"""Programs made of DSPy's modules: prepared once, run many times side by side."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import dspy  # type: ignore[import-untyped]

from app.adapters.base import Program, ProgramCall, ProgramResult
from app.adapters.dspy.calls import CallLog, collecting
from app.adapters.dspy.config import read_config, read_parameters
from app.adapters.dspy.endpoints import ServedLM
from app.adapters.dspy.errors import adapter_error
from app.adapters.dspy.lms import BoundLM, LanguageModel, LanguageModels
from app.adapters.dspy.read_signatures import read_signature
from app.adapters.dspy.repairs import ChatFormat, JSONFormat, XMLFormat
from app.adapters.dspy.signatures import build_signature
from app.adapters.dspy.states import apply_state, module_shape
from app.adapters.dspy.surroundings import Surroundings
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.json_values import as_json
from app.signatures.definition import SignatureDefinition
from app.signatures.states import ModuleShape

logger = logging.getLogger(__name__)

MODULES: Mapping[str, Any] = MappingProxyType(
    {
        "predict": dspy.Predict,
        "chain_of_thought": dspy.ChainOfThought,
    }
)
"""DSPy's modules by the names that programs give; each is built from a signature class alone."""

PROMPT_FORMATS: Mapping[str, Any] = MappingProxyType(
    {
        "json": JSONFormat(use_native_function_calling=False),
        "chat": ChatFormat(use_json_adapter_fallback=False),
        "xml": XMLFormat(use_json_adapter_fallback=False),
    }
)
"""How prompts are written and answers read; none asks a second time in another format."""

REASONING = "reasoning"
"""The output that `chain_of_thought` adds; it is told beside the outputs, not among them."""

CONTEXT: Mapping[str, Any] = MappingProxyType(
    {
        "callbacks": [],
        "disable_history": True,
        "max_history_size": 0,
        "max_trace_size": 0,
        "send_stream": None,
        "warn_on_type_mismatch": False,
    }
)
"""What DSPy keeps of each call for people at a notebook, all of it off."""


@dataclass(frozen=True)
class PreparedProgram:
    """A program with its module and LM; nothing in it changes while it runs."""

    module: Any
    prompt_format: Any
    language_model: LanguageModel
    lm: BoundLM
    parameters: Mapping[str, Any]
    outputs: tuple[str, ...]

    def with_parameters(self, config: Mapping[str, Any]) -> "PreparedProgram":
        """Give the program with the LM parameters of one call in place of its own."""
        if not config:
            return self
        lm = self.language_model.bind(self.parameters, read_parameters(config))
        return replace(self, lm=lm)


class DspyPrograms:
    """Prepares programs and runs them on the LMs of the settings."""

    def __init__(self, lms: Sequence[ServedLM], around: Surroundings) -> None:
        self._lms = LanguageModels(lms, around)
        self._clock = around.clock

    def check_signature(self, signature: SignatureDefinition) -> None:
        """Raise `unsupported` where DSPy cannot hold the signature."""
        build_signature(signature)

    def convert_signature(self, signature: SignatureDefinition) -> SignatureDefinition:
        """Give the signature as DSPy holds it; raises `unsupported`."""
        return read_signature(build_signature(signature))

    def module_shape(self, program: Program) -> ModuleShape:
        """Say what a program's state holds; `unsupported` where its module cannot be built."""
        return module_shape(_build_module(replace(program, state=None)))

    def prepare(self, program: Program) -> PreparedProgram:
        """Build a program's module; `invalid_request` or `unsupported` says what cannot be."""
        config = read_config(program.config)
        language_model = self._lms.get(config.lm)
        return PreparedProgram(
            module=_build_module(program),
            prompt_format=_prompt_format(config.prompt_format),
            language_model=language_model,
            lm=language_model.bind(config.parameters),
            parameters=config.parameters,
            outputs=tuple(field.name for field in program.signature.outputs),
        )

    async def run(
        self, prepared: PreparedProgram, call: ProgramCall, adapter: str
    ) -> ProgramResult:
        """Run a program; every failure of DSPy climbs as an AdapterError."""
        bound = prepared.with_parameters(call.config)
        with collecting(call, self._clock) as log:
            try:
                prediction = await _predict(bound, call.inputs, log)
            except AdapterError as refusal:
                refusal.usage = log.usage
                raise
            except Exception as error:
                raise _failure(error, log, bound) from error
        return _result(bound, prediction, log, adapter)


def _build_module(program: Program) -> Any:
    if program.module not in MODULES:
        known = ", ".join(MODULES)
        raise AdapterError(
            ErrorType.UNSUPPORTED,
            f"the dspy adapter does not run the module {program.module!r}; it runs: {known}",
        )
    inputs = {field.name for field in program.signature.inputs}
    if program.module == "chain_of_thought" and REASONING in inputs:
        raise AdapterError(
            ErrorType.UNSUPPORTED, "chain_of_thought cannot take an input named reasoning"
        )
    module = MODULES[program.module](build_signature(program.signature))
    if program.state is not None:
        apply_state(module, program.state)
    return module


def _prompt_format(name: str) -> Any:
    if name not in PROMPT_FORMATS:
        known = ", ".join(PROMPT_FORMATS)
        raise AdapterError(
            ErrorType.INVALID_REQUEST,
            f"config.prompt_format: there is no format {name!r}; there are: {known}",
        )
    return PROMPT_FORMATS[name]


async def _predict(prepared: PreparedProgram, inputs: Mapping[str, Any], log: CallLog) -> Any:
    with dspy.context(lm=prepared.lm, adapter=prepared.prompt_format, usage_tracker=log, **CONTEXT):
        return await prepared.module.acall(**inputs)


def _failure(error: Exception, log: CallLog, prepared: PreparedProgram) -> AdapterError:
    failure = adapter_error(error, log, prepared.language_model.served.secrets)
    if failure.type is ErrorType.UNEXPECTED:
        logger.error("a program failed in a way that DSPy has no word for", exc_info=error)
    return failure


def _result(
    prepared: PreparedProgram, prediction: Any, log: CallLog, adapter: str
) -> ProgramResult:
    values = dict(prediction.items())
    try:
        plain = {name: as_json(value) for name, value in values.items()}
    except ValueError as error:
        raise AdapterError(
            ErrorType.OUTPUT_INVALID,
            f"the model's answer is no JSON: {error}",
            raw_output=log.completion,
            usage=log.usage,
        ) from None
    outputs = {name: plain[name] for name in prepared.outputs}
    told = REASONING in plain and REASONING not in outputs
    return ProgramResult(
        outputs,
        adapter,
        raw_output=log.completion,
        usage=log.usage,
        details={REASONING: plain[REASONING]} if told else None,
    )
