"""How the end of a child is told to those whose calls it took with it."""

from collections.abc import Callable

from app.adapters.errors import AdapterError, ErrorType
from app.adapters.usage import Usage

GONE = "ended"
STOPPED = "was stopped"
"""Reasons for an end that come with a wait for the exit; all others are ended at once."""


def in_words(reason: str, code: int | None) -> str:
    """Say what a child did, with its exit code where that says more."""
    if reason != GONE:
        return reason
    if code is None:
        return "closed its frames"
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def crash_of(
    reason: str, code: int | None = None, words: str = ""
) -> Callable[[Usage], AdapterError]:
    """Say of each call what its child did, and what the call had spent."""
    context = {"exit_code": code, "stderr": words or None}
    told = {name: value for name, value in context.items() if value is not None}
    message = f"The child process {reason}."

    def crash(spent: Usage) -> AdapterError:
        return AdapterError(ErrorType.WORKER_CRASHED, message, context=told, usage=spent)

    return crash
