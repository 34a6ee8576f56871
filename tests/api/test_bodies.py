"""Bodies that cannot be taken: each refused with its place, before anything else happens."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from app.main import create_app
from app.runtime import Runtime
from app.settings import LimitsSettings, Settings
from tests.support.factories import QUESTION, post_execution, post_program

ANYTHING = "question: string, anything: any = null -> answer: string"


@pytest.fixture
async def path(client: httpx.AsyncClient) -> str:
    """The address of a program that takes anything."""
    program = await post_program(client, notation=ANYTHING)
    return f"/v1/programs/{program['program_id']}/executions"


async def _sent(client: httpx.AsyncClient, path: str, body: bytes | str) -> httpx.Response:
    return await client.post(path, content=body, headers={"Content-Type": "application/json"})


def _body(anything: str) -> str:
    return f'{{"inputs": {{"question": "?", "anything": {anything}}}}}'


def _faults(answer: httpx.Response) -> list[tuple[str, str]]:
    return [(fault["path"], fault["code"]) for fault in answer.json()["errors"]]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{]",
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": 01}',
        b'{"a": .5}',
        b'{"a": +1}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1} x',
        b'{"a": "\x00"}',
        b'{"a": "\n"}',
        b'{"a": "\\x"}',
        b'{"a": "\\u12"}',
        b" ",
        b"\xef\xbb\xbf{}",
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\xc0\x80"}',
        '{"a": 1}'.encode("utf-16"),
        b"\x1f\x8b\x08\x00",
    ],
)
async def test_what_is_no_json_in_utf8_is_400(
    client: httpx.AsyncClient, path: str, body: bytes
) -> None:
    """NaN and Infinity are no JSON; other encodings and raw control characters are none either."""
    answer = await _sent(client, path, body)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/malformed-body")


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"a"', b"5", b"true"])
async def test_a_body_that_is_no_object_is_422(
    client: httpx.AsyncClient, path: str, body: bytes
) -> None:
    """An empty body is told as such a fault too; its place is the whole."""
    answer = await _sent(client, path, body)
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["errors"]] == [""]


async def test_a_body_that_is_not_sent_at_all_is_422(client: httpx.AsyncClient, path: str) -> None:
    """A POST without a body is as one with an empty body."""
    answer = await client.post(path)
    assert (answer.status_code, _faults(answer)) == (422, [("", "missing")])


@pytest.mark.parametrize(
    ("anything", "place"),
    [
        ('{"a": 1, "a": 1}', ""),
        ('{"b": 0, "a": 1, "a": 2, "a": 3}', ""),
        ('[0, {"a/b": {"~": {"x": 1, "y": 2, "x": 1}}}]', "/1/a~1b/~0"),
        (r'{"a": 1, "\u0061": 2}', ""),
    ],
)
async def test_a_key_that_stands_twice_is_422(
    client: httpx.AsyncClient, path: str, anything: str, place: str
) -> None:
    """At any depth, however it is written, its object is named."""
    answer = await _sent(client, path, _body(anything))
    assert answer.status_code == 422
    assert _faults(answer) == [(f"/inputs/anything{place}", "duplicate_key")]


async def test_the_key_that_stands_twice_is_named(client: httpx.AsyncClient, path: str) -> None:
    """The first of them, with characters that no answer can hold shown otherwise."""
    answer = await _sent(client, path, r'{"z": 1, "\ud800": 1, "b": 2, "\ud800": 3, "b": 4}')
    (fault,) = answer.json()["errors"]
    assert (fault["path"], fault["message"]) == ("", "the key \ufffd stands here twice")


async def test_a_double_among_very_many_keys_is_found_at_once(
    client: httpx.AsyncClient, path: str
) -> None:
    """The search takes time in proportion to the body, not to its square."""
    keys = ", ".join(f'"k{n}": 1' for n in range(200_000))
    answer = await _sent(client, path, _body(f'{{{keys}, "k199999": 2}}'))
    assert _faults(answer) == [("/inputs/anything", "duplicate_key")]


@pytest.mark.parametrize(
    ("anything", "place"),
    [
        (r'"a\u0000"', ""),
        (r'["a", "\ud800"]', "/1"),
        (r'{"a": "\udc00\ud800"}', "/a"),
        (r'{"\u0000": 1}', ""),
        (r'{"a": {"b\ud800": 1}}', "/a"),
        (r'"\uD83D"', ""),
    ],
)
async def test_characters_that_cannot_be_kept_are_422(
    client: httpx.AsyncClient, path: str, anything: str, place: str
) -> None:
    """NUL and half surrogate pairs, in values and in keys."""
    answer = await _sent(client, path, _body(anything))
    assert answer.status_code == 422
    assert _faults(answer) == [(f"/inputs/anything{place}", "character")]


@pytest.mark.parametrize(
    "text",
    [
        r'"\ud83d\ude00"',
        r'"\\u0000"',
        r'"\\ud800"',
        r'"\u0001\u001f\u007f\ufeff\u202e\ue000\uffff"',
        '"\U0001f600\u2028"',
    ],
)
async def test_every_other_character_is_kept(
    client: httpx.AsyncClient, path: str, text: str
) -> None:
    """Whole pairs, control characters, marks of direction and private use come back as sent."""
    answer = await _sent(client, path, _body(text))
    assert answer.status_code == 200
    assert answer.json()["inputs"]["anything"] == json.loads(text)


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "1e-400", "-0.01e-330", "9" * 5_000, "-" + "9" * 4_301]
)
async def test_numbers_out_of_range_are_422(
    client: httpx.AsyncClient, path: str, number: str
) -> None:
    """What would become infinite, vanish, or is too long to read is refused at its place."""
    answer = await _sent(client, path, _body(f"[1, {number}]"))
    assert answer.status_code == 422
    assert _faults(answer) == [("/inputs/anything/1", "out_of_range")]
    assert answer.json()["errors"][0]["received"] == number[:40]


def _nested(depth: int) -> str:
    """Nest lists so that the whole body is that deep."""
    return "[" * (depth - 2) + "]" * (depth - 2)


@pytest.mark.parametrize("depth", [65, 200])
async def test_a_body_nested_too_deep_is_422(
    client: httpx.AsyncClient, path: str, depth: int
) -> None:
    """The fault is at the first level that is too deep."""
    answer = await _sent(client, path, _body(_nested(depth)))
    assert answer.status_code == 422
    assert _faults(answer) == [("/inputs/anything" + "/0" * 62, "too_deep")]


@pytest.mark.parametrize("opening", ["[", '{"a":'])
async def test_a_body_nested_beyond_all_measure_is_422(
    client: httpx.AsyncClient, path: str, opening: str
) -> None:
    """A hundred thousand levels are refused without following them."""
    answer = await _sent(client, path, opening * 100_000)
    assert (answer.status_code, _faults(answer)) == (422, [("", "too_deep")])


async def test_sixty_four_levels_are_taken(client: httpx.AsyncClient, path: str) -> None:
    """The deepest body that the contract allows comes back as it was."""
    answer = await _sent(client, path, _body(_nested(64)))
    assert answer.status_code == 200
    assert answer.json()["inputs"]["anything"] == json.loads(_nested(64))


async def test_many_brackets_are_not_deep(client: httpx.AsyncClient, path: str) -> None:
    """It is the depth that counts."""
    wide = "[" + "[], " * 500 + "{}]"
    answer = await _sent(client, path, _body(wide))
    assert answer.json()["inputs"]["anything"] == json.loads(wide)


async def test_all_faults_of_all_kinds_come_at_once(client: httpx.AsyncClient, path: str) -> None:
    """Characters, numbers, doubles and depth, each in its place."""
    anything = rf'["\u0000", 1e999, {{"a": 1, "a": 1}}, {_nested(65)}]'
    answer = await _sent(client, path, _body(anything))
    assert [code for _, code in _faults(answer)] == [
        "character",
        "out_of_range",
        "duplicate_key",
        "too_deep",
    ]


async def test_of_very_many_faults_the_first_thousand_are_told(
    client: httpx.AsyncClient, path: str
) -> None:
    """An answer does not grow with what is wrong."""
    many = ", ".join([r'"\u0000"'] * 5_000)
    answer = await _sent(client, path, _body(f"[{many}]"))
    assert len(answer.json()["errors"]) == 1_000


async def test_of_very_many_wrong_fields_the_first_thousand_are_told(
    client: httpx.AsyncClient,
) -> None:
    """`error_count` says how many there are."""
    body = {"name": "qa", "inputs": [0] * 600, "outputs": [0] * 600}
    answer = await client.post("/v1/signatures", json=body)
    assert len(answer.json()["errors"]) == 1_000
    assert answer.json()["error_count"] == 1_200


async def test_a_crowd_of_unknown_members_is_one_fault(
    client: httpx.AsyncClient, path: str
) -> None:
    """Some unknown members are each named; very many are refused as a whole."""
    some = {f"k{n}": 1 for n in range(50)}
    answer = await client.post(path, json={"inputs": QUESTION, **some})
    assert len(answer.json()["errors"]) == 50
    crowd = {f"k{n}": 1 for n in range(200_000)}
    answer = await client.post(path, json={"inputs": QUESTION, **crowd})
    assert (answer.status_code, _faults(answer)) == (422, [("", "too_many_members")])


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json; charset=utf8; x=y",
        "application/json; profile=a",
    ],
)
async def test_json_is_taken_however_it_is_announced(
    client: httpx.AsyncClient, path: str, media_type: str
) -> None:
    """The media type is compared without case, and UTF-8 may be said."""
    headers = {"Content-Type": media_type}
    answer = await client.post(path, content=_body("1"), headers=headers)
    assert answer.status_code == 200


async def test_json_is_taken_unannounced(client: httpx.AsyncClient, path: str) -> None:
    """A body without a media type is read as JSON."""
    answer = await client.post(path, content=_body("1"))
    assert "Content-Type" not in answer.request.headers
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "media_type",
    [
        "",
        "text/plain",
        "text/json",
        "application/jsonl",
        "application/problem+json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "*/*",
    ],
)
async def test_another_media_type_is_415(
    client: httpx.AsyncClient, path: str, media_type: str
) -> None:
    """Nothing but JSON in UTF-8 is read, however much it looks like it."""
    headers = {"Content-Type": media_type}
    answer = await client.post(path, content=_body("1"), headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (415, "/problems/unsupported-media-type")


class _Counted:
    """A body in chunks that counts how many were taken."""

    def __init__(self, chunk: bytes, many: int) -> None:
        self._chunks: Iterator[bytes] = iter([chunk] * many)
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            self.taken += 1
            yield chunk


@pytest.fixture
async def narrow(settings: Settings, runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that takes a thousand bytes."""
    limited = settings.model_copy(update={"limits": LimitsSettings(json_bytes=1_000)})
    transport = httpx.ASGITransport(create_app(limited, runtime))
    async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
        yield client


async def test_a_body_over_the_limit_is_413_before_it_is_read(narrow: httpx.AsyncClient) -> None:
    """No more is taken from the client than the limit and the chunk that goes over it."""
    body = _Counted(b"[" * 100, 1_000_000)
    answer = await narrow.post("/v1/signatures", content=body)
    assert "Content-Length" not in answer.request.headers
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/payload-too-large")
    assert answer.json()["detail"] == "The body may have 1000 bytes."
    assert body.taken <= 12


async def test_a_body_that_announces_too_much_is_413_unread(narrow: httpx.AsyncClient) -> None:
    """The length is believed where it is over the limit."""
    body = _Counted(b"[", 5)
    answer = await narrow.post("/v1/signatures", content=body, headers={"Content-Length": "1001"})
    assert answer.status_code == 413
    assert body.taken == 0


@pytest.mark.parametrize("length", ["10", "abc", "-1", "9" * 5_000, "1e9", ""])
async def test_a_body_that_lies_about_its_length_is_413_all_the_same(
    narrow: httpx.AsyncClient, length: str
) -> None:
    """What counts is what comes; a length that is none is left to the server."""
    body = _Counted(b"[" * 100, 1_000_000)
    answer = await narrow.post("/v1/signatures", content=body, headers={"Content-Length": length})
    assert answer.status_code == 413
    assert body.taken <= 12


async def test_a_body_as_long_as_the_limit_is_taken(narrow: httpx.AsyncClient) -> None:
    """A thousand bytes are within a limit of a thousand."""
    body = json.dumps({"name": "qa", "notation": "a -> b"}).ljust(1_000)
    answer = await narrow.post("/v1/signatures", content=body)
    assert answer.status_code == 201
    assert (await narrow.post("/v1/signatures", content=body + " ")).status_code == 413


async def test_the_media_type_comes_before_the_length(narrow: httpx.AsyncClient) -> None:
    """What is not read at all has no length."""
    headers = {"Content-Type": "text/plain"}
    answer = await narrow.post("/v1/signatures", content=b"x" * 2_000, headers=headers)
    assert answer.status_code == 415


async def test_a_body_without_use_is_left_alone(client: httpx.AsyncClient) -> None:
    """A POST that takes no body does not look at one."""
    program = await post_program(client)
    headers = {"Content-Type": "text/plain"}
    answer = await client.post(
        f"/v1/programs/{program['program_id']}/initialize", content=b"\xff", headers=headers
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "values",
    [
        [1e23, 0.1, 1e-300, 1.7976931348623157e308, 5e-324],
        [2**53 + 1, -(2**63), 2**63 - 1, 0, -1],
        [True, False, None, "", [], {}],
        {"": "", "a b": [{"b": {}}], "é": "\U0001f600"},
    ],
)
async def test_values_come_back_exactly(client: httpx.AsyncClient, values: Any) -> None:
    """In inputs, outputs, metadata and configuration, at once and when they are read later."""
    program = await post_program(
        client,
        {"outputs": {"answer": "a", "more": values}},
        notation="anything: any -> answer: string, more: any",
        metadata={"values": values},
    )
    answer = await post_execution(client, program, {"anything": values}, metadata={"m": values})
    read = await client.get(f"/v1/executions/{answer.json()['execution_id']}")
    for execution in (answer.json(), read.json()):
        assert _typed(execution["inputs"]["anything"]) == _typed(values)
        assert _typed(execution["outputs"]["more"]) == _typed(values)
        assert _typed(execution["metadata"]["m"]) == _typed(values)
    assert _typed(program["metadata"]["values"]) == _typed(values)
    assert _typed(program["config"]["mock"]["outputs"]["more"]) == _typed(values)


def _typed(value: Any) -> str:
    """Show a value so that 1, 1.0 and true differ."""
    return repr(value)


async def test_minus_zero_is_zero(client: httpx.AsyncClient, path: str) -> None:
    """Signs of nothing may be lost, values are not."""
    answer = await _sent(client, path, _body("[-0.0, -0, 0e5, -0.0e-400]"))
    assert answer.json()["inputs"]["anything"] == [0, 0, 0, 0]


@pytest.mark.parametrize("digits", [19, 20, 300])
async def test_very_long_integers_are_exact_or_refused(
    client: httpx.AsyncClient, path: str, digits: int
) -> None:
    """No digit is lost on the way, in inputs and in metadata."""
    number = int("9" * digits)
    answer = await _sent(client, path, _body(f"{number}"))
    assert answer.status_code in {200, 422}
    if answer.status_code == 200:
        assert answer.json()["inputs"]["anything"] == number
    answer = await client.post(path, json={"inputs": QUESTION, "metadata": {"n": number}})
    assert answer.json()["metadata"] == {"n": number}
