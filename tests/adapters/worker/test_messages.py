"""Messages: every value arrives as it was sent, and what is no message is refused."""

import json
import math
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.base import Repair
from app.adapters.errors import ErrorType
from app.adapters.usage import Usage
from app.adapters.worker.frames import ProtocolError
from app.adapters.worker.messages import (
    MESSAGE_DEPTH,
    Execute,
    Failure,
    Result,
    Spent,
    read_from_child,
    read_from_parent,
    write,
)
from app.policies.limiter import Priority

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES, max_size=4)
RESULT = Result(1, {"answer": "x"}, None, Usage(1, 2, 3, 1), None)

SPENT = Spent(1, "main", "success", 5, 7)


def nested(depth: int) -> Any:
    """Give lists in lists."""
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


@given(inputs=DOCUMENTS, config=DOCUMENTS, said=VALUES)
def test_calls_arrive_as_they_were_sent(inputs: Any, config: Any, said: Any) -> None:
    """Whole numbers of any size, infinities, and texts of any characters."""
    repair = Repair(said, ("the answer is missing",))
    message = Execute(
        *(2**62, uuid4(), 3, inputs, config, 2, repair),
        is_traced=True,
        priority=Priority.BATCH,
        has_s=1.5,
    )
    assert read_from_parent(write(message)) == message


@given(outputs=DOCUMENTS, said=VALUES)
def test_answers_arrive_as_they_were_sent(outputs: Any, said: Any) -> None:
    """Results and failures alike."""
    result = Result(1, outputs, said, Usage(1, 2, 3, 4), outputs, 0.5, (outputs,))
    failure = Failure(1, ErrorType.TIMEOUT, "late", outputs, 2.5, said, Usage(), 0.5, (outputs,))
    assert read_from_child(write(result)) == result
    assert read_from_child(write(failure)) == failure


def test_what_is_no_number_arrives_too() -> None:
    """The adapter that gave it is to say what is wrong with it."""
    message = Result(1, {"x": math.nan}, None, Usage(), None)
    read = read_from_child(write(message))
    assert isinstance(read, Result)
    assert math.isnan(read.outputs["x"])


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"kind": "hello"',
        b'{"kind": "hello"}{"kind": "hello"}',
        b'{"kind": "execute"}',
        b'{"kind": "hello", "id": 1}',
        b'{"kind": "prepared"}',
        b'{"kind": "prepared", "id": "1"}',
        b'{"kind": "prepared", "id": 1.0}',
        b'{"kind": "prepared", "id": true}',
        b'{"kind": "pong", "id": 1, "healthy": true, "latency_ms": -1, "error": null}',
        write(SPENT).replace(b'"success"', b'"triumph"'),
        write(SPENT).replace(b'"prompt_tokens":5', b'"prompt_tokens":-5'),
        write(RESULT).replace(b'"lm_calls":1', b'"lm_calls":-1'),
        write(RESULT).replace(b'"lm_calls":1', b'"lm_calls":1,"more":1'),
        write(RESULT).replace(b'"x"', b'"\\ud800"'),
    ],
)
def test_what_is_no_message_is_a_breach(payload: bytes) -> None:
    """It is told by what is wrong with it, not by what stands in it."""
    with pytest.raises(ProtocolError, match=r"^no message: [a-z_, ]+$"):
        read_from_child(payload)


@pytest.mark.parametrize("value", [nested(MESSAGE_DEPTH), nested(150), [nested(100)] * 3])
def test_a_message_that_is_nested_too_deep_is_a_breach(value: Any) -> None:
    """Many shallow values are none."""
    with pytest.raises(ProtocolError, match="nested deeper"):
        read_from_child(write(Result(1, {"x": value}, None, Usage(), None)))
    wide = Result(1, {"x": [nested(MESSAGE_DEPTH - 3)] * 100}, None, Usage(), None)
    assert read_from_child(write(wide)) == wide


def test_brackets_in_texts_are_no_nesting() -> None:
    """Though there are more of them than a message may be deep."""
    message = Result(1, {"x": "[{" * 1_000}, None, Usage(), None)
    assert json.loads(write(message))["outputs"] == message.outputs
    assert read_from_child(write(message)) == message
