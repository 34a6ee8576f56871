"""The formats of text, checked against the documents that define them."""

import pytest

from app.signatures.types.formats import FORMATS

FITTING = [
    ("date-time", "2026-01-31T09:30:00Z"),
    ("date-time", "2026-01-31t09:30:00.123456789+02:00"),
    ("date", "2024-02-29"),
    ("time", "23:59:59-08:00"),
    ("duration", "P3Y6M4DT12H30M5S"),
    ("duration", "P4W"),
    ("duration", "PT0.5S"),
    ("email", "first.last+tag@sub.example.org"),
    ("uri", "https://example.org:8080/a%20b?q=1#f"),
    ("uri", "urn:isbn:9780000000000"),
    ("uri", "mailto:ada@example.org"),
    ("uuid", "0198C5F0-0000-7000-8000-00000000000a"),
    ("ipv4", "192.0.2.255"),
    ("ipv6", "::ffff:192.0.2.1"),
    ("hostname", "a-1.example"),
]

UNFITTING = [
    ("date-time", "2026-01-31T09:30:00"),
    ("date-time", "2026-01-31"),
    ("date-time", "1700000000"),
    ("date", "2026-02-30"),
    ("date", "2026-2-3"),
    ("date", "2026-01-31\n"),
    ("time", "25:00:00Z"),
    ("time", "09:30:00"),
    ("duration", "P"),
    ("duration", "PT"),
    ("duration", "P1DT"),
    ("duration", "P1Y2D"),
    ("duration", "1 day"),
    ("email", "ada@"),
    ("email", ".ada@example.org"),
    ("email", "ada lovelace@example.org"),
    ("uri", "example.org/page"),
    ("uri", "https://exa mple.org"),
    ("uri", "https://"),
    ("uri", "https://example.org/%zz"),
    ("uuid", "0198c5f000007000800000000000000a"),
    ("uuid", "{0198c5f0-0000-7000-8000-00000000000a}"),
    ("ipv4", "192.0.2.256"),
    ("ipv4", "192.0.2.01"),
    ("ipv6", "fe80::1%eth0"),
    ("ipv6", "::1::"),
    ("hostname", "-a.example"),
    ("hostname", "a..example"),
    ("hostname", "a" * 64),
    ("hostname", ".".join(["a" * 50] * 6)),
]


@pytest.mark.parametrize(("name", "text"), FITTING)
def test_fits(name: str, text: str) -> None:
    """Text in the format is taken."""
    assert FORMATS[name].fits(text)


@pytest.mark.parametrize(("name", "text"), UNFITTING)
def test_does_not_fit(name: str, text: str) -> None:
    """Text that only resembles the format is refused."""
    assert not FORMATS[name].fits(text)


@pytest.mark.parametrize("name", FORMATS)
def test_sample_fits(name: str) -> None:
    """Each format has a sample, and long text does not hold it up."""
    assert FORMATS[name].fits(FORMATS[name].sample)
    assert not FORMATS[name].fits("1:" * 500_000)
