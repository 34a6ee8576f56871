"""What the LMs of one program call did: how often they were asked, what they cost and said."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from app.adapters.base import ProgramCall
from app.adapters.json_values import as_text
from app.adapters.usage import Usage
from app.policies.clock import Clock
from app.policies.deadline import Deadline


@dataclass
class LMCall:
    """One call of an LM, as traces and metrics tell it."""

    predictor: str | None
    lm: str
    messages: Sequence[Any]
    completion: str | None = None
    usage: Usage = field(default_factory=Usage)
    duration_ms: float = 0.0


class CallLog:
    """The LM calls of one program call, in the order of their ends.

    It is also DSPy's usage tracker (`add_usage`), which hears of tokens even where a call fails
    after the model answered.
    """

    def __init__(self, call: ProgramCall, clock: Clock) -> None:
        self._told = call.told
        self.priority = call.priority
        self._has_substitute = call.has_substitute
        self._time = Deadline(clock, call.seconds - call.told.waited_s)
        self.completion: str | None = None
        self.repair = call.repair
        self.outputs = frozenset(field.name for field in call.program.signature.outputs)
        self.trace = call.trace

    @property
    def usage(self) -> Usage:
        """What the call has cost so far."""
        return self._told.usage

    @property
    def patience_s(self) -> float:
        """How long to wait for an LM at most: what has been spent is not thrown away."""
        is_free_to_go = self._has_substitute and not self.usage.lm_calls
        return 0.0 if is_free_to_go else self._time.remaining_s

    def waited(self, seconds: float) -> None:
        """Count what the call has waited for its turn at an LM."""
        self._told.waited_s += seconds

    def asked(self) -> None:
        """Count a call that begins."""
        self._spend(Usage(lm_calls=1))

    def answered(self, outputs: Sequence[Any]) -> None:
        """Keep what the model said last; DSPy gives texts, or objects that hold one."""
        for output in outputs:
            text = output.get("text") if isinstance(output, Mapping) else output
            self.completion = None if text is None else as_text(str(text))
        if (call := _asking.get()) is not None:
            call.completion = self.completion

    def add_usage(self, _model: str, entry: Mapping[str, Any]) -> None:
        """Add the tokens of an answer; what the server does not say counts as none."""
        prompt, completion = entry.get("prompt_tokens") or 0, entry.get("completion_tokens") or 0
        total = entry.get("total_tokens") or prompt + completion
        self._spend(Usage(prompt, completion, total))

    def _spend(self, usage: Usage) -> None:
        self._told.usage += usage
        if (call := _asking.get()) is not None:
            call.usage += usage


_current: ContextVar[CallLog] = ContextVar("dspatch_lm_calls")
_asking: ContextVar[LMCall | None] = ContextVar("dspatch_lm_call", default=None)


@contextmanager
def collecting(call: ProgramCall, clock: Clock) -> Iterator[CallLog]:
    """Collect the LM calls that are made inside, in this task and those it starts."""
    log = CallLog(call, clock)
    token = _current.set(log)
    try:
        yield log
    finally:
        _current.reset(token)


@contextmanager
def asking(call: LMCall, clock: Clock) -> Iterator[None]:
    """Keep what is spent and said inside with this call, and how long it took."""
    began, token = clock.monotonic(), _asking.set(call)
    try:
        yield
    finally:
        _asking.reset(token)
        call.duration_ms = round((clock.monotonic() - began) * 1_000, 3)


def current_log() -> CallLog:
    """Give the log of the program call that is running."""
    return _current.get()
