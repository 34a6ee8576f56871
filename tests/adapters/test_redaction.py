"""What messages must not tell."""

from app.adapters.redaction import MAX_QUOTE, quote


def test_hides_secrets_and_addresses() -> None:
    """Keys, hosts and anything that looks like an address are cut out."""
    text = "Bad key sk-123 at https://user:pw@llm.example/v1?x=1, see llm.example"
    assert quote(text, ["sk-123", "llm.example", ""]) == "Bad key … at … see …"


def test_hides_the_longest_first() -> None:
    """A secret that holds another is hidden whole."""
    assert quote("sk-123-long", ["sk-123", "sk-123-long"]) == "…"


def test_is_one_short_line() -> None:
    """Line breaks are folded and long texts are cut."""
    quoted = quote("a\r\n\tb " + "c" * 1_000)
    assert quoted.startswith("a b c")
    assert len(quoted) == MAX_QUOTE
    assert quoted.endswith("…")
