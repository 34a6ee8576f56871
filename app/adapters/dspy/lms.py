"""The operator's language models in DSPy's hands: engine, slots, time limit and parameters."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import dspy  # type: ignore[import-untyped]
from dspy.utils import exceptions as dspy_errors  # type: ignore[import-untyped]
from typing_extensions import override

from app.adapters.dspy.calls import CallLog, LMCall, asking, current_log
from app.adapters.dspy.endpoints import ServedLM
from app.adapters.dspy.engine import BlockingFace, ChatCompletionsEngine
from app.adapters.dspy.metering import LMMeter
from app.adapters.dspy.servers import ModelServers
from app.adapters.errors import AdapterError, ErrorType
from app.policies.clock import Clock
from app.telemetry.metrics import Metrics


class BoundLM(dspy.LM):  # type: ignore[misc]
    """An LM with its parameters: waits for a slot, keeps its time, and logs what it was asked."""

    def __init__(self, lm: "LanguageModel", parameters: Mapping[str, Any]) -> None:
        super().__init__(lm.served.model, cache=False, num_retries=0, **lm.engine, **parameters)
        self.lm_name = lm.served.name
        self.timeout_s = lm.served.timeout_s
        self.slots = lm.slots
        self.clock = lm.clock
        self.meter = lm.meter

    @override
    async def acall(
        self, prompt: Any = None, *, messages: Any = None, **kwargs: Any
    ) -> Sequence[Any]:
        log = current_log()
        async with self.slots:
            with self._observed(log, messages):
                log.asked()
                try:
                    async with asyncio.timeout(self.timeout_s):
                        outputs: Sequence[Any] = await super().acall(
                            prompt, messages=messages, **kwargs
                        )
                except TimeoutError:
                    raise dspy_errors.LMTimeoutError("the LM's time limit has passed") from None
                log.answered(outputs)
        return outputs

    @contextmanager
    def _observed(self, log: CallLog, messages: Any) -> Iterator[None]:
        """Count the call that is made inside, and keep it where a trace is kept."""
        is_traced = log.trace is not None
        call = LMCall(_predictor() if is_traced else None, self.lm_name, messages)
        try:
            with self.meter.counting(call), asking(call, self.clock):
                yield
        finally:
            if log.trace is not None:
                log.trace.append(asdict(call))


class LanguageModel:
    """An LM of the settings: one engine and one set of slots for all programs that use it."""

    def __init__(
        self, served: ServedLM, engine: Mapping[str, Any], clock: Clock, meter: LMMeter
    ) -> None:
        self.served = served
        self.clock = clock
        self.engine = engine
        self.meter = meter
        self.slots = asyncio.Semaphore(served.max_concurrency)

    def bind(self, *parameters: Mapping[str, Any]) -> BoundLM:
        """Give the LM with parameters, the later ones winning; null takes one back."""
        merged = dict(self.served.parameters)
        for of_one in parameters:
            merged |= of_one
        given = {name: value for name, value in merged.items() if value is not None}
        _refuse_unusable(given)
        try:
            return BoundLM(self, given)
        except dspy_errors.LMConfigurationError as error:
            raise AdapterError(ErrorType.INVALID_REQUEST, error.message) from None


class LanguageModels:
    """The LMs of the settings, by name."""

    def __init__(
        self, lms: Sequence[ServedLM], servers: ModelServers, clock: Clock, metrics: Metrics
    ) -> None:
        meter = LMMeter(metrics)
        self._lms = {
            lm.name: LanguageModel(lm, _engine(lm, servers, clock), clock, meter) for lm in lms
        }

    def get(self, name: str | None) -> LanguageModel:
        """Give the LM of this name, or the only one; `invalid_request` where there is none such."""
        if name is None and len(self._lms) == 1:
            return next(iter(self._lms.values()))
        if name in self._lms:
            return self._lms[name]
        known = ", ".join(sorted(self._lms)) or "none"
        what = "is missing" if name is None else f"names no LM: {name!r}"
        raise AdapterError(
            ErrorType.INVALID_REQUEST, f"config.lm {what}; the configured LMs are: {known}"
        )


def _predictor() -> str | None:
    """Give the name of the predictor that asks, as DSPy's states have it."""
    modules = dspy.settings.caller_modules
    named = modules[0].named_predictors()
    return next((name for name, predictor in named if predictor is modules[-1]), None)


def _engine(lm: ServedLM, servers: ModelServers, clock: Clock) -> Mapping[str, Any]:
    if lm.endpoint is None:
        return {"api_key": lm.key, "timeout": lm.timeout_s}
    engine = ChatCompletionsEngine(lm.endpoint, servers, clock)
    return {"engine": BlockingFace(), "async_engine": engine}


def _refuse_unusable(parameters: Mapping[str, Any]) -> None:
    # DSPy would say the same, but only in the first call.
    question = {"model": "any", "messages": [{"role": "user", "content": "?"}]}
    try:
        dspy.lm15.request_from_openai_chat({**question, **parameters})
    except (TypeError, ValueError, dspy.lm15.LM15Error) as error:
        message = f"the LM's parameters cannot be used: {error}"
        raise AdapterError(ErrorType.INVALID_REQUEST, message) from None
