"""Telling of the calls of an LM: to the process's metrics, and to OpenTelemetry.

Names by https://opentelemetry.io/docs/specs/semconv/gen-ai/.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import metrics
from opentelemetry.trace import Span, SpanKind

from app.adapters.dspy.calls import LMCall
from app.adapters.dspy.errors import meaning_of
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import CANCELLED, spanning

SUCCESS = "success"

_METER = metrics.get_meter("dspatch")
_DURATION = _METER.create_histogram(
    "gen_ai.client.operation.duration", "s", "How long calls of language models took."
)
_TOKENS = _METER.create_histogram(
    "gen_ai.client.token.usage", "{token}", "Tokens of calls, as the model servers count them."
)


class LMMeter:
    """Tells of the calls of one LM; `model` is DSPy's name for it, `provider/model`."""

    def __init__(self, metrics: Metrics, model: str) -> None:
        provider, _, name = model.rpartition("/")
        self._metrics = metrics
        self._span_name = f"chat {name}"
        self._attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": name,
        }

    @contextmanager
    def counting(self, call: LMCall, *, tells_content: bool) -> Iterator[None]:
        """Count the call that is made inside: how it ended, what it cost and how long it took."""
        outcome = SUCCESS
        with spanning(
            self._span_name, self._attributes, SpanKind.CLIENT, type_of=_outcome_of
        ) as span:
            try:
                yield
            except BaseException as error:
                outcome = _outcome_of(error)
                raise
            finally:
                self._tell(span, call, outcome)
                if tells_content:
                    _tell_content(span, call)

    def _tell(self, span: Span, call: LMCall, outcome: str) -> None:
        prompt, completion = call.usage.prompt_tokens, call.usage.completion_tokens
        self._metrics.lm_called(call.lm, outcome, prompt, completion)
        span.set_attribute("gen_ai.usage.input_tokens", prompt)
        span.set_attribute("gen_ai.usage.output_tokens", completion)
        failed: Mapping[str, str] = {} if outcome == SUCCESS else {"error.type": outcome}
        _DURATION.record(call.duration_ms / 1_000, {**self._attributes, **failed})
        for kind, tokens in (("input", prompt), ("output", completion)):
            _TOKENS.record(tokens, {**self._attributes, "gen_ai.token.type": kind})


def _outcome_of(error: BaseException) -> str:
    return str(meaning_of(error).type) if isinstance(error, Exception) else CANCELLED


def _tell_content(span: Span, call: LMCall) -> None:
    said = [{"role": "assistant", "content": call.completion}]
    span.set_attribute("gen_ai.input.messages", _written(call.messages))
    span.set_attribute("gen_ai.output.messages", _written(said))


def _written(messages: Sequence[Mapping[str, Any]]) -> str:
    told = [
        {"role": one["role"], "parts": [{"type": "text", "content": one["content"]}]}
        for one in messages
    ]
    return json.dumps(told, default=str)
