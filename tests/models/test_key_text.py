"""Keys as text: what is made can be read, and what is mistyped cannot."""

import secrets
from hashlib import sha256
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.key_text import KeyText

SEEDS = st.integers(0, 2**32)
CHARACTERS = st.characters(codec="utf-8")


def _key(seed: int = 1) -> KeyText:
    return KeyText.new(Random(seed).choice)  # noqa: S311 - a test's


def test_a_key_has_the_contracts_shape() -> None:
    """`dsp_`, an id of eight characters, and a secret with more chance than can be tried."""
    prefix, key_id, secret = _key().text.split("_")
    assert (prefix, len(key_id), len(secret)) == ("dsp", 8, 49)
    assert (key_id + secret).isalnum()


@given(SEEDS)
def test_what_is_made_can_be_read(seed: int) -> None:
    """The text says the same id and secret."""
    key = _key(seed)
    assert KeyText.parse(key.text) == key


def test_two_keys_have_nothing_in_common() -> None:
    """Chance makes both the id and the secret."""
    one, other = KeyText.new(secrets.choice), KeyText.new(secrets.choice)
    assert one.key_id != other.key_id
    assert one.secret != other.secret


@given(SEEDS, st.integers(0, 60), CHARACTERS)
def test_a_mistake_in_one_character_is_found(seed: int, place: int, character: str) -> None:
    """The checksum covers the id and the secret, and the rest is its shape."""
    text = _key(seed).text
    mistaken = text[:place] + character + text[place + 1 :]
    assert (KeyText.parse(mistaken) is None) is (mistaken != text)


@given(SEEDS, st.integers(4, 58))
def test_two_characters_in_the_wrong_order_are_found(seed: int, place: int) -> None:
    """Neighbours that changed places make no key."""
    text = _key(seed).text
    mistaken = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    assert (KeyText.parse(mistaken) is None) is (mistaken != text)


@pytest.mark.parametrize("wrong", ["{}x", "x{}", "{}\n", " {}", "", "dsp__", "dsp_a_b"])
def test_what_only_looks_like_a_key_is_none(wrong: str) -> None:
    """Nothing stands before or after a key."""
    assert KeyText.parse(wrong.format(_key().text)) is None


@given(st.text())
def test_any_text_may_be_asked_for(text: str) -> None:
    """Whatever a client sends is read without an error."""
    assert KeyText.parse(text) is None


def test_a_key_shows_its_id_alone() -> None:
    """A key that is printed or logged as an object does not tell its secret."""
    key = _key()
    assert repr(key) == f"KeyText(key_id={key.key_id!r})"
    assert key.secret not in f"{key}"


def test_the_hash_is_that_of_the_secret() -> None:
    """SHA-256, as operators may reckon it themselves."""
    key = _key()
    assert key.secret_hash == sha256(key.secret.encode()).digest()
