import re
from collections.abc import Iterator

import pytest

from app import errors
from app.errors import (
    DatabaseUnavailableError,
    DspatchError,
    Fault,
    InvalidInputsError,
    ProgramNotReadyError,
)


def descendants(kind: type[DspatchError]) -> Iterator[type[DspatchError]]:
    """Give every class of error below `kind`."""
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from descendants(child)


KINDS = list(descendants(DspatchError))


def drawn() -> dict[str, tuple[str, int | None]]:
    """Read the tree at the top of the module: of each class its parent and its status."""
    found: dict[str, tuple[str, int | None]] = {}
    above = ["DspatchError"]
    for line in (errors.__doc__ or "").splitlines():
        entry = re.match(r"([│├└─ ]+)(\w+Error)\s*(\d{3})?", line)
        if entry:
            depth = len(entry[1]) // 4
            above[depth:] = [entry[2]]
            found[entry[2]] = (above[depth - 1], int(entry[3]) if entry[3] else None)
    return found


def test_the_tree_is_drawn_as_it_is() -> None:
    """The drawing at the top of the module names each class, its parent and its status."""
    tree = drawn()
    assert set(tree) == {kind.__name__ for kind in KINDS}
    for kind in KINDS:
        parent, status = tree[kind.__name__]
        assert kind.__base__ is not None
        assert kind.__base__.__name__ == parent
        assert status in {None, kind.status}


def test_problem_types_are_unique_and_stable_words() -> None:
    """Each class has a slug of its own, made of its name."""
    slugs = [kind.slug() for kind in KINDS]
    assert len(set(slugs)) == len(slugs)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", slug) for slug in slugs)
    assert ProgramNotReadyError.slug() == "program-not-ready"
    assert DatabaseUnavailableError.slug() == "database-unavailable"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.__subclasses__()])
def test_every_error_that_is_raised_explains_itself(kind: type[DspatchError]) -> None:
    """An error has a title and a text for its page, and is a client's or a passing matter."""
    assert kind.title != DspatchError.title
    assert kind.__doc__
    assert 400 <= kind.status < 500 or kind.status in {502, 503, 504}


def test_an_error_carries_what_its_problem_says() -> None:
    """Detail, faults, members and the wait are kept as given; the detail is its text."""
    fault = Fault("/inputs/a", "missing", "a is missing")
    error = InvalidInputsError("No.", faults=[fault], retry_after_s=1.5, members={"a": 1})
    assert str(error) == error.detail == "No."
    assert error.faults == (fault,)
    assert error.retry_after_s == 1.5
    assert error.members == {"a": 1}


def test_an_error_carries_nothing_by_default() -> None:
    """Without more than a detail, the problem has its own members alone."""
    error = InvalidInputsError("No.")
    assert (error.faults, error.retry_after_s, error.members) == ((), None, {})


@pytest.mark.parametrize("member", ["type", "title", "status", "detail", "instance"])
def test_a_problems_own_members_cannot_be_overwritten(member: str) -> None:
    """Members of RFC 9457 are refused as extensions."""
    with pytest.raises(ValueError, match=rf"cannot be extended: \['{member}'\]"):
        InvalidInputsError("No.", members={member: 1, "other": 2})


def test_a_fault_is_written_without_what_it_lacks() -> None:
    """A fault's document has `expected` and `received` only where they are known."""
    assert Fault("/a", "type", "wrong").as_document() == {
        "path": "/a",
        "code": "type",
        "message": "wrong",
    }
    assert Fault("/a", "type", "wrong", "integer", '"x"').as_document() == {
        "path": "/a",
        "code": "type",
        "message": "wrong",
        "expected": "integer",
        "received": '"x"',
    }


def test_a_fault_seen_from_further_out() -> None:
    """Only the path of a fault changes with the place that it is seen from."""
    fault = Fault("/a/0", "type", "wrong", "integer", '"x"')
    seen = Fault("/inputs/a/0", "type", "wrong", "integer", '"x"')
    assert fault.under("/inputs") == seen
