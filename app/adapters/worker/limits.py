"""What children may take: how long for what, how many answers, how much memory."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How long a child may take, in seconds."""

    start_s: float = 60.0
    """From its start until everything is imported."""
    answer_s: float = 5.0
    """To read what it is told, and to answer for a call that is stopped."""
    silence_s: float = 15.0
    """Between two signs of life."""
    exit_s: float = 1.0
    """To end by itself once its frames are closed."""
    term_s: float = 1.0
    """Between SIGTERM and SIGKILL."""
    settling_s: float = 60.0
    """Until its memory counts: one that needs much from the start is not ended over and over."""


@dataclass(frozen=True)
class Limits:
    """When a child is used up; None: never."""

    answers: int | None = None
    rss_bytes: int | None = None
