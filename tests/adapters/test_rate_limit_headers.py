from datetime import UTC, datetime

import pytest
from multidict import CIMultiDict

from app.adapters.rate_limit_headers import read_word
from app.policies.rate import Word

NOW = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("6m0s", 360),
        ("1h2m3.5s", 3_723.5),
        ("20ms", 0.02),
        ("7.66s", 7.66),
        ("1d", 86_400),
        ("500us", 0.0005),
        ("3", 3),
        ("0", 0),
        ("0.25", 0.25),
        (str(int(NOW.timestamp()) + 9), 9),
        ("2026-01-05T00:00:30Z", 30),
        ("2026-01-05T01:00:30.5+01:00", 30.5),
        ("2026-01-04T00:00:00Z", 0),
        ("12", 12),
    ],
)
@pytest.mark.parametrize("kind", ["requests", "tokens"])
def test_reads_when_there_is_more(kind: str, reset: str, seconds: float) -> None:
    """As durations of OpenAI's servers, seconds, seconds since 1970, or Anthropic's dates."""
    openai = {f"X-RateLimit-Remaining-{kind}": "5", f"X-RateLimit-Reset-{kind}": reset}
    word = read_word(kind, CIMultiDict(openai), NOW)
    assert word is not None
    assert word.remaining == 5
    assert word.reset_s == pytest.approx(seconds)
    anthropic = {
        f"Anthropic-RateLimit-{kind}-Remaining": "5",
        f"Anthropic-RateLimit-{kind}-Reset": reset,
    }
    assert read_word(kind, CIMultiDict(anthropic), NOW) == word


@pytest.mark.parametrize(
    ("remaining", "reset"),
    [
        ("5", ""),
        ("5", "soon"),
        ("5", "-3s"),
        ("5", "s"),
        ("5", "2026-01-05T00:00:30"),
        ("5", "0001-01-01T00:00:00+23:59"),
        ("5", "9" * 400),
        ("", "3s"),
        ("-1", "3s"),
        ("many", "3s"),
        ("nan", "3s"),
    ],
)
def test_what_cannot_be_read_says_nothing(remaining: str, reset: str) -> None:
    """Nobody waits for nonsense."""
    headers = {"x-ratelimit-remaining-requests": remaining, "x-ratelimit-reset-requests": reset}
    word = read_word("requests", CIMultiDict(headers), NOW)
    assert word in {None, Word(5, 0)}


def test_most_servers_say_nothing() -> None:
    """Without the headers there is no word, and one of the other kind is none either."""
    assert read_word("requests", CIMultiDict({}), NOW) is None
    tokens = {"x-ratelimit-remaining-tokens": "1", "x-ratelimit-reset-tokens": "1s"}
    assert read_word("requests", CIMultiDict(tokens), NOW) is None
    assert read_word("tokens", CIMultiDict(tokens), NOW) == Word(1, 1)
