"""Messages: every value arrives as it was sent, and what is no message is refused."""

import json
import math
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.base import ProgramResult, Repair
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.usage import Usage
from app.adapters.worker.documents import (
    execute_message,
    failure_message,
    read_call,
    result_message,
)
from app.adapters.worker.frames import ProtocolError
from app.adapters.worker.messages import (
    MESSAGE_DEPTH,
    Execute,
    Failure,
    Limit,
    Result,
    Spent,
    read_from_child,
    read_from_parent,
    write,
)
from app.policies.deadline import Deadline
from app.policies.limiter import Priority
from app.policies.limits import Limits
from tests.adapters.programs import a_call, a_program
from tests.support.clock import ManualClock

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
    message = Execute(2**62, uuid4(), 3, inputs, config, 2, repair, True, Priority.BATCH, 2.5)  # noqa: FBT003
    assert read_from_parent(write(message)) == message


def test_limits_arrive_as_they_were_sent() -> None:
    """What has no limit, too."""
    message = Limit({"main": Limits(8, None, 100, 0.2, 10), "other": Limits()})
    assert read_from_parent(write(message)) == message


@pytest.mark.parametrize("seconds", [2.5, math.inf])
def test_a_call_is_read_as_it_was_written(seconds: float) -> None:
    """With its priority, and with the time that it has."""
    program = a_program()
    of_batch = {"priority": Priority.BATCH, "timeout_s": seconds, "has_substitute": True}
    call = replace(a_call(program), **of_batch)  # type: ignore[arg-type]
    read = read_call(program, execute_message(1, call))
    assert (read.priority, read.seconds, read.has_substitute) == (Priority.BATCH, seconds, True)


@pytest.mark.parametrize(
    ("timeout_s", "whole_s", "left_s"), [(5, 9, 2), (9, 5, 5), (9, 7, 6), (3, 9, 0)]
)
def test_what_a_call_has_waited_is_taken_from_its_timeout_alone(
    timeout_s: float, whole_s: float, left_s: float
) -> None:
    """Its deadline has come nearer by itself."""
    call = a_call(timeout_s=timeout_s, deadline=Deadline(ManualClock(), whole_s))
    call.told.waited_s = 3.0
    assert execute_message(1, call).seconds == left_s


def test_an_answer_tells_how_long_its_call_has_waited() -> None:
    """Whether it is a result or a failure."""
    call = a_call()
    call.told.waited_s = 1.5
    result = result_message(1, call, ProgramResult({}, "mock"))
    failure = failure_message(1, AdapterError(ErrorType.TIMEOUT, "late"), call)
    assert (result.waited_s, failure.waited_s) == (1.5, 1.5)


@given(outputs=DOCUMENTS, said=VALUES)
def test_answers_arrive_as_they_were_sent(outputs: Any, said: Any) -> None:
    """Results and failures alike."""
    result = Result(1, outputs, said, Usage(1, 2, 3, 4), outputs, (outputs,), 1.5)
    failure = Failure(1, ErrorType.TIMEOUT, "late", outputs, 2.5, said, Usage(), (outputs,), 1.5)
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
