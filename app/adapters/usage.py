"""What a call of a language model cost."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """Tokens and calls; sums over the calls of an execution."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    lm_calls: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.total_tokens + other.total_tokens,
            self.lm_calls + other.lm_calls,
        )
