"""One POST to a receiver, whatever the receiver does."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from app.policies.clock import SystemClock
from app.webhooks.addresses import AddressRules
from app.webhooks.client import MAX_ANSWER_BYTES, SHOWN, Answer, ReceiverClient
from tests.support.receiver import Receiver, a_receiver, an_answer
from tests.support.wait import wait_until


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that answers 204 unless it is told otherwise."""
    async with a_receiver() as receiver:
        yield receiver


@pytest.fixture
async def client(receiver: Receiver) -> AsyncIterator[ReceiverClient]:
    """A client that may reach it, and is not patient."""
    client = ReceiverClient(AddressRules([receiver.host]), SystemClock(), timeout_s=1.0)
    yield client
    await client.close()


async def post(client: ReceiverClient, receiver: Receiver) -> Answer:
    """Post something."""
    return await client.post(receiver.url, b'{"a": 1}', {"Content-Type": "application/json"})


async def test_what_is_posted_arrives(client: ReceiverClient, receiver: Receiver) -> None:
    """The body byte for byte, with its headers; connections are used again."""
    for _ in range(2):
        answer = await post(client, receiver)
        assert answer == Answer(status=204, body="")
        assert answer.is_success
    assert [request.body for request in receiver.requests] == [b'{"a": 1}'] * 2
    assert receiver.requests[0].headers["content-type"] == "application/json"
    assert receiver.requests[0].headers["user-agent"] == "dspatch"
    assert receiver.connections == 1


async def test_no_redirect_is_followed(client: ReceiverClient, receiver: Receiver) -> None:
    """Wherever it leads; it is an answer like others, and no success."""
    async with a_receiver() as other:
        receiver.answers.append(an_answer("307 Elsewhere", b"", f"Location: {other.url}"))
        answer = await post(client, receiver)
    assert (answer.status, answer.is_success, answer.is_final) == (307, False, False)
    assert other.connections == 0


async def test_a_receiver_may_ask_to_be_left_alone(
    client: ReceiverClient, receiver: Receiver
) -> None:
    """For a day at most; 410 is for good."""
    receiver.answers += [
        an_answer("503 Busy", b"later", "Retry-After: 7200"),
        an_answer("429 Slow", b"", "Retry-After: 1000000000"),
        an_answer("410 Gone"),
    ]
    assert await post(client, receiver) == Answer(503, "later", retry_after_s=7_200.0)
    assert (await post(client, receiver)).retry_after_s == 86_400.0
    assert await post(client, receiver) == Answer(410, "", is_final=True)


async def test_of_a_long_answer_the_beginning_is_read(
    client: ReceiverClient, receiver: Receiver
) -> None:
    """64 KiB of it; less is kept, in characters that a record can hold."""
    endless = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
    receiver.answers.append(endless + b"a\x00\xff" + b"a" * (MAX_ANSWER_BYTES * 40))
    answer = await post(client, receiver)
    assert answer.is_success
    assert answer.body == "a\ufffd\ufffd" + "a" * (SHOWN - 3)


async def test_a_body_that_never_ends_takes_no_success_away(
    client: ReceiverClient, receiver: Receiver
) -> None:
    """The status was told."""
    receiver.answers.append(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    assert await post(client, receiver) == Answer(200, "half")


async def test_packed_answers_are_not_unpacked(client: ReceiverClient, receiver: Receiver) -> None:
    """What is short on the wire may be long in memory."""
    receiver.answers.append(an_answer("200 OK", b"bomb", "Content-Encoding: gzip"))
    assert await post(client, receiver) == Answer(200, "bomb")


async def test_a_receiver_that_hangs_is_given_up(
    client: ReceiverClient, receiver: Receiver
) -> None:
    """After the time that a POST may take, whatever else goes on."""
    receiver.answers.append(None)
    assert await post(client, receiver) == Answer(error="It did not answer within 1 s.")


async def test_what_is_no_answer_is_told(client: ReceiverClient, receiver: Receiver) -> None:
    """Bytes that are no HTTP, and a connection that is cut."""
    receiver.answers += [b"SSH-2.0-OpenSSH\r\n\r\n", b""]
    for _ in range(2):
        answer = await post(client, receiver)
        assert answer.error is not None
        assert not answer.is_success
        assert not answer.is_final


async def test_a_closed_port_is_told() -> None:
    """By the kind of failure, without the address."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{closed.getsockname()[1]}"
        client = ReceiverClient(AddressRules([host]), SystemClock())
        answer = await client.post(f"http://{host}/", b"", {})
        await client.close()
    assert answer == Answer(error="It could not be reached (ClientConnectorError).")


async def test_names_are_looked_up_by_the_system(receiver: Receiver) -> None:
    """Where nobody says otherwise."""
    client = ReceiverClient(AddressRules(["localhost"]), SystemClock())
    assert (await client.post(f"http://localhost:{receiver.port}/", b"", {})).is_success
    await client.close()


async def test_a_name_without_address_may_have_one_later() -> None:
    """That is not for good."""

    async def look_up(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    client = ReceiverClient(AddressRules(), SystemClock(), look_up)
    answer = await client.post("https://hooks.example.com/", b"", {})
    assert answer == Answer(error="It could not be reached (ClientConnectorDNSError).")
    await client.close()


async def test_a_name_is_looked_up_once_at_a_time() -> None:
    """However many ask for it, and leave before it is found; others are not held up by it."""
    asked, may_answer = list[str](), asyncio.Event()

    async def look_up(host: str, _port: int) -> list[str]:
        asked.append(host)
        if host.startswith("slow"):
            await may_answer.wait()
        return ["10.0.0.1"]

    refused = Answer(error="Its name resolves to an address that is not public.", is_final=True)
    client = ReceiverClient(AddressRules(), SystemClock(), look_up)
    slow = [
        asyncio.create_task(client.post("https://slow.example.com/", b"", {})) for _ in range(9)
    ]
    await wait_until(lambda: bool(asked))
    assert await client.post("https://quick.example.com/", b"", {}) == refused
    slow[0].cancel()
    may_answer.set()
    assert await asyncio.gather(*slow[1:]) == [refused] * 8
    assert await client.post("https://slow.example.com/", b"", {}) == refused
    assert asked == ["slow.example.com", "quick.example.com", "slow.example.com"]
    await client.close()


async def test_who_closes_waits_for_no_name() -> None:
    """Nobody wants it any more."""
    begun = asyncio.Event()

    async def look_up(_host: str, _port: int) -> list[str]:
        begun.set()
        await asyncio.Event().wait()
        return []

    client = ReceiverClient(AddressRules(), SystemClock(), look_up)
    post = asyncio.create_task(client.post("https://hooks.example.com/", b"", {}))
    await begun.wait()
    await client.close()
    with pytest.raises(asyncio.CancelledError):
        await post


async def test_a_client_that_was_never_used_closes() -> None:
    """There is nothing to close."""
    await ReceiverClient(AddressRules(), SystemClock()).close()
