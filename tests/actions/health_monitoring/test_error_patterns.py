"""Errors of one kind, whatever they name."""

import pytest

from app.actions.health_monitoring.error_patterns import count_patterns, fold


@pytest.mark.parametrize(
    ("error", "pattern"),
    [
        ("No answer within 30000 ms.", "No answer within <number> ms."),
        ("waited 1.5 s of 3", "waited <number> s of <number>"),
        ("no LM: 'main'", "no LM: <text>"),
        ('expected "yes" or `no` or “maybe”', "expected <text> or <text> or <text>"),
        ("it doesn't, and it can't", "it doesn't, and it can't"),
        ("GET https://eu.example:8443/v1?key=1 failed", "GET <address> failed"),
        ("connect to 10.1.2.3:5432 refused", "connect to <address> refused"),
        ("connect to [fe80::1:2] refused", "connect to [<address>] refused"),
        ("connect to db.example:5432 refused", "connect to <address> refused"),
        ("mail ada@mail.example again", "mail <address> again"),
        ("object at 0x7f3a9c", "object at <address>"),
        ("no execution 019b1c5e-7d3a-7c3e-8f2a-0123456789ab", "no execution <id>"),
        ("request deadbeef01 lost", "request <id> lost"),
        ("the effaceable facade", "the effaceable facade"),
    ],
)
def test_what_varies_is_folded(error: str, pattern: str) -> None:
    """Ids, numbers, addresses and quoted parts; words stay."""
    assert fold(error) == pattern


def test_patterns_are_counted_the_most_frequent_first() -> None:
    """Each with its newest error, which comes first; ten at most."""
    errors = ["rare", "slow: 7 ms", *[f"kind {letter}" for letter in "abcdefghijk"], "slow: 9 ms"]
    counted = count_patterns(errors)
    assert counted[0] == {"pattern": "slow: <number> ms", "count": 2, "example": "slow: 7 ms"}
    assert counted[1] == {"pattern": "rare", "count": 1, "example": "rare"}
    assert len(counted) == 10


def test_nothing_has_no_patterns() -> None:
    """An empty list."""
    assert count_patterns([]) == []
