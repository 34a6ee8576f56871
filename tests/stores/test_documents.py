from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, literal, select

from app.database import Database
from app.models.base import Document
from app.stores.documents import dump_document, load_document

NASTY = ["\x00", "\ud800", "\udfff", "\ud83d\ude00", "\ue000", "\ue0000000", "\\u0000", "😀", '"\\']
TEXTS = st.text(st.characters(exclude_categories=()) | st.sampled_from("".join(NASTY)))
NUMBERS = (
    st.integers(-(10**300), 10**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([1e23, 5e-324, 1.0, -0.0, 0, -1, 2**63, 2**64])
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | st.sampled_from(NASTY),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)


def is_same(value: Any, other: Any) -> bool:
    """Tell whether values are equal in type, sign and order, which `==` overlooks."""
    return repr(value) == repr(other)


@given(VALUES)
def test_every_value_comes_back_as_it_was(value: Any) -> None:
    """Any JSON value is the same after writing and reading; the text is fit for PostgreSQL."""
    text = dump_document(value)
    assert is_same(load_document(text), value)
    text.encode()
    assert "\x00" not in text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(value=VALUES)
async def test_every_value_comes_back_from_the_database(database: Database, value: Any) -> None:
    """A document is the same after a way through PostgreSQL, NUL and half characters too."""

    def there_and_back(connection: Connection) -> Any:
        return connection.scalar(select(literal([value], Document)))

    assert is_same(await database.run_sync(there_and_back), [value])


@pytest.mark.parametrize("value", [*NASTY, *({text: [text]} for text in NASTY)], ids=ascii)
async def test_nasty_text_comes_back_from_the_database(database: Database, value: Any) -> None:
    """What PostgreSQL refuses in text is kept, in keys and below them."""

    def there_and_back(connection: Connection) -> Any:
        return connection.scalar(select(literal(value, Document)))

    assert is_same(await database.run_sync(there_and_back), value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": 1.0}, '{"b":1,"a":1.0}'),
        ({"a": "é"}, '{"a":"é"}'),
        ("\x00", '"\ue0000000"'),
        ("\ud800", '"\ue000d800"'),
        ("\ue000", '"\ue000e000"'),
        ([float("nan"), float("inf"), float("-inf")], '["NaN","Infinity","-Infinity"]'),
        (["\x00", float("nan")], '["\ue0000000","NaN"]'),
        (["\ud800", float("nan")], '["\ue000d800","NaN"]'),
    ],
)
def test_documents_are_readable_text(value: Any, text: str) -> None:
    """People who query the tables see plain JSON; only what is unfit for text is marked."""
    assert dump_document(value) == text


def test_a_tuple_becomes_an_array() -> None:
    """Python's tuples are arrays, also where a text in them needs the mark."""
    assert load_document(dump_document(("a", ("\x00",)))) == ["a", ["\x00"]]
