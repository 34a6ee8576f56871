"""Which regular expressions mean the same to other validators.

Ours are Rust's; JSON Schema's are ECMAScript's. What both read alike may stand in a document.
"""

import re
from collections.abc import Iterator

_ESCAPED = r"\\[dDwWsSnrtfv^$\\.*+?()\[\]{}|/]"
_SET = rf"\[\^?(?:[^\\\[\]^&~-]|{_ESCAPED}|\\-|-(?!-)|&(?!&)|~(?!~))+\]"
_TIMES = r"(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\??"
_ONE = rf"(?:[^\\\[\](){{}}?*+|^$]|{_ESCAPED}|{_SET}|\))(?:{_TIMES})?"
_PORTABLE = re.compile(rf"(?:{_ONE}|\\[bB]|\((?:\?:|\?<[A-Za-z_][A-Za-z0-9_]*>)?|[|^$])*")


def is_portable(pattern: str) -> bool:
    """Say whether ECMAScript reads the expression, which must be one of Rust's, in the same way.

    Classes of characters are portable, though Rust's hold letters and digits of all scripts.
    """
    return _PORTABLE.fullmatch(pattern) is not None


def pattern_keyword(pattern: str | None) -> dict[str, str]:
    """Give JSON Schema's keyword for the expression, where it can hold it."""
    return {"pattern": pattern} if pattern is not None and is_portable(pattern) else {}


def pattern_remarks(pattern: str | None, subject: str) -> Iterator[str]:
    """Say in words what `pattern_keyword` cannot hold."""
    if pattern is not None and not is_portable(pattern):
        yield f"{subject} the regular expression {pattern} (in the syntax of Rust)."
