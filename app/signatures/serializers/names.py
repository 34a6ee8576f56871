"""Names out of names, for targets that allow fewer characters than we do."""

import keyword
import re

MAX_TOOL_NAME = 64


def tool_name(name: str) -> str:
    """Give the name of a signature as providers allow it for tools."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)[:MAX_TOOL_NAME]


def class_name(name: str) -> str:
    """Give the name of a signature as Python writes classes: answer_question is AnswerQuestion."""
    words = re.split(r"[^A-Za-z0-9]+", name)
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    is_name = joined.isidentifier() and not keyword.iskeyword(joined)
    return joined if is_name else f"Signature{joined}"
