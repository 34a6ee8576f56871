"""The operator's language models in DSPy's hands: engine, line, time limit and parameters."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from typing import Any

import dspy  # type: ignore[import-untyped]
from dspy.utils import exceptions as dspy_errors  # type: ignore[import-untyped]
from typing_extensions import override

from app.adapters.dspy.calls import CallLog, LMCall, asking, current_log
from app.adapters.dspy.endpoints import ServedLM
from app.adapters.dspy.engine import BlockingFace, ChatCompletionsEngine
from app.adapters.dspy.metering import LMMeter
from app.adapters.dspy.surroundings import Surroundings
from app.adapters.dspy.token_guess import TokenGuess
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.usage import Usage
from app.policies.limiter import Limiter, LimitReachedError, Turn
from app.policies.limits import Limit


class BoundLM(dspy.LM):  # type: ignore[misc]
    """An LM with its parameters: waits for its turn, keeps its time, and logs what it was asked."""

    def __init__(self, language_model: "LanguageModel", parameters: Mapping[str, Any]) -> None:
        served, engine = language_model.served, language_model.engine
        super().__init__(served.model, cache=False, num_retries=0, **engine, **parameters)
        self.language_model = language_model

    @override
    async def acall(
        self, prompt: Any = None, *, messages: Any = None, **kwargs: Any
    ) -> Sequence[Any]:
        lm, log = self.language_model, current_log()
        async with lm.turn(log, messages or prompt) as turn:
            with lm.observed(log, messages) as call:
                log.asked()
                try:
                    async with asyncio.timeout(lm.served.timeout_s):
                        outputs: Sequence[Any] = await super().acall(
                            prompt, messages=messages, **kwargs
                        )
                except TimeoutError:
                    raise dspy_errors.LMTimeoutError("the LM's time limit has passed") from None
                log.answered(outputs)
            lm.learn(turn, call.usage)
        return outputs


class LanguageModel:
    """An LM of the settings: one engine and one line for all programs that use it."""

    def __init__(self, served: ServedLM, around: Surroundings) -> None:
        self.served = served
        self._clock = around.clock
        self._limiter = around.limiters[served.name]
        self._meter = LMMeter(around.metrics, served.model)
        self._guess = TokenGuess()
        self.engine = _engine(served, around, self._limiter)

    @asynccontextmanager
    async def turn(self, log: CallLog, prompt: Any) -> AsyncIterator[Turn]:
        """Wait for a turn, no longer than makes sense; AdapterError where none comes."""
        began, tokens = self._clock.monotonic(), self._guess.tokens(prompt)
        has_s = log.patience_s
        try:
            async with self._limiter.turn(log.priority, tokens=tokens, has_s=has_s) as turn:
                log.waited(self._clock.monotonic() - began)
                with self._pausing():
                    yield turn
        except LimitReachedError as reached:
            raise _refusal(self.served.name, reached) from None

    @contextmanager
    def _pausing(self) -> Iterator[None]:
        """Have all in the line wait as long as the server asks one of them to."""
        try:
            yield
        except dspy_errors.LMError as error:
            if error.retry_after is not None:
                self._limiter.pause(error.retry_after)
            raise

    @contextmanager
    def observed(self, log: CallLog, messages: Any) -> Iterator[LMCall]:
        """Count the call that is made inside, and keep it where a trace is kept."""
        is_traced = log.trace is not None
        call = LMCall(_predictor() if is_traced else None, self.served.name, messages)
        try:
            counted = self._meter.counting(call, tells_content=is_traced)
            with counted, asking(call, self._clock):
                yield call
        finally:
            if log.trace is not None:
                log.trace.append(asdict(call))

    def learn(self, turn: Turn, spent: Usage) -> None:
        """Hear what a call has spent, as far as the server told it."""
        if spent.total_tokens:
            turn.spent = spent.total_tokens
            self._guess.learn(spent.completion_tokens)

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

    def __init__(self, lms: Sequence[ServedLM], around: Surroundings) -> None:
        self._lms = {lm.name: LanguageModel(lm, around) for lm in lms}

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


def _engine(lm: ServedLM, around: Surroundings, limiter: Limiter) -> Mapping[str, Any]:
    if lm.endpoint is None:
        return {"api_key": lm.key, "timeout": lm.timeout_s}
    engine = ChatCompletionsEngine(lm.endpoint, around.servers, around.clock, limiter.hear)
    return {"engine": BlockingFace(), "async_engine": engine}


def _refusal(name: str, reached: LimitReachedError) -> AdapterError:
    context = {"lm": name, "limit": str(reached.limit)}
    if reached.limit is Limit.CONCURRENCY:
        message = f"the LM {name} has been asked by too many at once for too long"
        return AdapterError(ErrorType.OVERLOADED, message, context=context)
    message = f"the LM {name} must not be asked yet"
    wait_s = reached.retry_after_s
    return AdapterError(
        ErrorType.RATE_LIMITED,
        message,
        context=context,
        retry_after=None if wait_s is None else round(wait_s, 3),
    )


def _refuse_unusable(parameters: Mapping[str, Any]) -> None:
    # DSPy would say the same, but only in the first call.
    question = {"model": "any", "messages": [{"role": "user", "content": "?"}]}
    try:
        dspy.lm15.request_from_openai_chat({**question, **parameters})
    except (TypeError, ValueError, dspy.lm15.LM15Error) as error:
        message = f"the LM's parameters cannot be used: {error}"
        raise AdapterError(ErrorType.INVALID_REQUEST, message) from None
