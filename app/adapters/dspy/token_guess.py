"""What a call of an LM will spend, guessed before it is made."""

from typing import Any

CHARACTERS_OF_A_TOKEN = 4
WEIGHT = 0.1
"""What the newest answer counts in the mean."""


class TokenGuess:
    """Guesses by the length of the prompt, and by what answers took lately."""

    def __init__(self) -> None:
        self._completion: float | None = None

    def tokens(self, prompt: Any) -> int:
        """Guess what a call with this prompt, or these messages, will spend."""
        return len(str(prompt)) // CHARACTERS_OF_A_TOKEN + round(self._completion or 0)

    def learn(self, completion_tokens: int) -> None:
        """Hear what an answer took."""
        if self._completion is None:
            self._completion = completion_tokens
        self._completion += WEIGHT * (completion_tokens - self._completion)
