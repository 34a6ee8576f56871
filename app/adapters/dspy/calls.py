"""What the LMs of one program call did: how often they were asked, what they cost and said."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from app.adapters.json_values import as_text
from app.adapters.usage import Usage


class CallLog:
    """The LM calls of one program call, in the order of their ends.

    It is also DSPy's usage tracker (`add_usage`), which hears of tokens even where a call fails
    after the model answered.
    """

    def __init__(self) -> None:
        self.usage = Usage()
        self.completion: str | None = None

    def asked(self) -> None:
        """Count a call that begins."""
        self.usage += Usage(lm_calls=1)

    def answered(self, outputs: Sequence[Any]) -> None:
        """Keep what the model said last; DSPy gives texts, or objects that hold one."""
        for output in outputs:
            text = output.get("text") if isinstance(output, Mapping) else output
            self.completion = None if text is None else as_text(str(text))

    def add_usage(self, _model: str, entry: Mapping[str, Any]) -> None:
        """Add the tokens of an answer; what the server does not say counts as none."""
        prompt, completion = entry.get("prompt_tokens") or 0, entry.get("completion_tokens") or 0
        total = entry.get("total_tokens") or prompt + completion
        self.usage += Usage(prompt, completion, total)


_current: ContextVar[CallLog] = ContextVar("dspatch_lm_calls")


@contextmanager
def collecting() -> Iterator[CallLog]:
    """Collect the LM calls that are made inside, in this task and those it starts."""
    log = CallLog()
    token = _current.set(log)
    try:
        yield log
    finally:
        _current.reset(token)


def current_log() -> CallLog:
    """Give the log of the program call that is running."""
    return _current.get()
