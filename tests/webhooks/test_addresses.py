"""Where receivers may stand: hostile addresses are refused, and nothing of them is reached."""

from collections.abc import Sequence

import pytest

from app.policies.clock import SystemClock
from app.webhooks.addresses import AddressRules, RefusedAddressError, is_public
from app.webhooks.client import ReceiverClient
from tests.support.receiver import a_receiver

LITERAL = (
    # loopback, in every spelling that some resolver understands
    "https://127.0.0.1:{port}/",
    "https://127.0.0.1.:{port}/",
    "https://127.8.8.8:{port}/",
    "https://127.1:{port}/",
    "https://127.0.1:{port}/",
    "https://2130706433:{port}/",
    "https://0x7f000001:{port}/",
    "https://0X7F.0x0.0x0.0x1:{port}/",
    "https://0x7f.1:{port}/",
    "https://017700000001:{port}/",
    "https://0177.0.0.1:{port}/",
    "https://0177.0.0.01:{port}/",
    "https://127.0.0.0x1:{port}/",
    "https://00000127.0.0.1:{port}/",
    "https://127。0。0。1:{port}/",
    "https://①②⑦.0.0.1:{port}/",
    "https://\uff11\uff12\uff17.0.0.1:{port}/",
    "https://%31%32%37.0.0.1:{port}/",
    "https://[::1]:{port}/",
    "https://[0:0:0:0:0:0:0:1]:{port}/",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://[::ffff:7f00:1]:{port}/",
    "https://[::127.0.0.1]:{port}/",
    "https://[64:ff9b::127.0.0.1]:{port}/",
    "https://[64:ff9b::7f00:1]:{port}/",
    "https://[64:ff9b:1::7f00:1]:{port}/",
    "https://[2002:7f00:1::]:{port}/",
    "https://[2001:0:7f00:1::]:{port}/",
    "https://[::ffff:0:127.0.0.1]:{port}/",
    "https://[::1%25lo]:{port}/",
    "https://[2606:4700::1%25lo]:{port}/",
    # this host, private networks
    "https://0.0.0.0:{port}/",
    "https://0:{port}/",
    "https://0x0:{port}/",
    "https://[::]:{port}/",
    "https://10.0.0.1/",
    "https://10.255.255.255/",
    "https://167772161/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://0xc0a80101/",
    "https://[::ffff:10.0.0.1]/",
    "https://[fc00::1]/",
    "https://[fd12:3456::1]/",
    "https://[fec0::1]/",
    "https://100.64.0.1/",
    "https://198.18.0.1/",
    # link-local, metadata
    "https://169.254.169.254/latest/meta-data/",
    "https://2852039166/latest/meta-data/",
    "https://0xa9fea9fe/",
    "https://0251.0376.0251.0376/",
    "https://[::ffff:169.254.169.254]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[2002:a9fe:a9fe::1]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fd00:ec2::254]/",
    "https://[fd20:ce::254]/",
    "https://100.100.100.200/",
    "https://168.63.129.16/",
    "https://192.0.0.192/",
    # multicast, reserved, documentation
    "https://224.0.0.1/",
    "https://239.255.255.250/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://[ff02::1]/",
    "https://192.0.2.1/",
    "https://198.51.100.1/",
    "https://203.0.113.1/",
    "https://192.88.99.1/",
    "https://[2001:db8::1]/",
    "https://[3fff::1]/",
    "https://[100::1]/",
    # user information, schemes, what no two parsers read alike
    "https://user@hooks.example.com/",
    "https://user:password@hooks.example.com/",
    "https://@hooks.example.com/",
    "https://hooks.example.com@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}@hooks.example.com/",
    "https://hooks.example.com\\@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\\@hooks.example.com/",
    "https://127.0.0.1%00.example.com/",
    "https://127.0.0.1%2f.example.com/",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:65536/",
    "https://hooks..example.com/",
    "https://-hooks.example.com/",
    "https://hooks example.com/",
    "https://hooks.example.com/\r\nHost: 127.0.0.1",
    " https://hooks.example.com/",
    "https://hooks.example.com/\x00",
    "https://" + "a" * 64 + ".example.com/",
    "https://" + "a." * 130 + "com/",
    "https://hooks.example.com/" + "a" * 2_048,
    "http://hooks.example.com/",
    "http://127.0.0.1:{port}/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_GET",
    "//hooks.example.com/",
    "https:hooks.example.com",
    "https:///hooks",
    "https://[::1/",
    "https://[::1].example.com/",
    "hooks.example.com",
    "",
)

INSIDE = (
    ["127.0.0.1"],
    ["::1"],
    ["10.0.0.1"],
    ["169.254.169.254"],
    ["::ffff:127.0.0.1"],
    ["64:ff9b::7f00:1"],
    ["fe80::1%eth0"],
    ["93.184.215.14", "127.0.0.1"],
    ["2606:4700::1111", "fd00::1"],
)


def a_client(found: Sequence[str], *allowed: str) -> ReceiverClient:
    """Make a client whose names all resolve to the same."""

    async def look_up(_host: str, _port: int) -> Sequence[str]:
        return found

    return ReceiverClient(AddressRules(allowed), SystemClock(), look_up)


async def delivered(client: ReceiverClient, url: str) -> str | None:
    """Post something; give what went wrong for good."""
    answer = await client.post(url, b"{}", {})
    await client.close()
    assert answer.error is None or answer.is_final, answer
    return answer.error


async def test_hostile_addresses_are_refused_and_not_reached() -> None:
    """At once, as they are written; were one delivered to, nothing would be connected to."""
    rules = AddressRules()
    async with a_receiver() as receiver:
        for text in LITERAL:
            url = text.replace("{port}", str(receiver.port))
            with pytest.raises(RefusedAddressError):
                pytest.fail(f"taken: {rules.read(url)!r}")
            assert await delivered(a_client(["127.0.0.1"]), url) is not None, url
    assert receiver.connections == 0


async def test_names_that_resolve_inside_are_refused() -> None:
    """When they are delivered to, also where only one of several addresses lies inside."""
    async with a_receiver() as receiver:
        url = f"https://hooks.example.com:{receiver.port}/"
        AddressRules().read(url)
        errors = {await delivered(a_client(found), url) for found in INSIDE}
    assert errors == {"Its name resolves to an address that is not public."}
    assert receiver.connections == 0


async def test_a_name_is_resolved_once() -> None:
    """What was checked is connected to: another answer of the name server has no effect.

    Nothing leaves the machine: the guard of the tests stops the connection, and tells where to.
    """
    answers = [["93.184.215.14"], ["127.0.0.1"]]

    async def rebind(_host: str, _port: int) -> Sequence[str]:
        return answers.pop(0)

    async with a_receiver() as receiver:
        client = ReceiverClient(AddressRules(), SystemClock(), rebind)
        with pytest.raises(UserWarning, match=r"93\.184\.215\.14"):
            await client.post(f"https://hooks.example.com:{receiver.port}/", b"{}", {})
        await client.close()
    assert answers == [["127.0.0.1"]]
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "text",
    [
        "https://hooks.example.com",
        "https://hooks.example.com./a?b=c#d",
        "https://hooks.example.com#@127.0.0.1/",
        "https://HOOKS.Example.com:8443/a/b",
        "https://bücher.example/",
        "https://_dmarc.example.com/@path?at=@",
        "https://a.b.c.d.e.example.com/",
        "https://93.184.215.14/",
        "https://[2606:4700::1111]/",
        "https://[64:ff9b::5db8:d70e]/",
        "https://localhost.example.com/",
        "https://localhost/",
    ],
)
def test_public_addresses_and_names_are_taken(text: str) -> None:
    """A name is not judged before it is resolved."""
    AddressRules().read(text)


@pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.1:{port}"])
async def test_the_operator_allows_hosts(allowed: str) -> None:
    """By http and inside, on every port or on one."""
    async with a_receiver() as receiver:
        client = a_client([], allowed.replace("{port}", str(receiver.port)))
        assert await delivered(client, receiver.url) is None
    assert len(receiver.requests) == 1


async def test_an_allowed_name_may_lie_inside() -> None:
    """The operator says so."""
    async with a_receiver() as receiver:
        client = a_client(["127.0.0.1"], "Hooks.internal")
        assert await delivered(client, f"http://hooks.internal:{receiver.port}/x") is None
    assert receiver.requests[0].headers["host"] == f"hooks.internal:{receiver.port}"


@pytest.mark.parametrize(
    ("allowed", "text"),
    [
        ("127.0.0.1:81", "https://127.0.0.1:82/"),
        ("hooks.internal", "http://other.internal/"),
        ("hooks.internal", "http://hooks.internal.evil.com/"),
        ("hooks.internal", "http://user@hooks.internal/"),
        ("::1", "http://[::2]/"),
    ],
)
def test_what_is_allowed_is_no_more_than_that(allowed: str, text: str) -> None:
    """Another port, another name and user information are refused as before."""
    with pytest.raises(RefusedAddressError):
        AddressRules([allowed]).read(text)


@pytest.mark.parametrize("allowed", ["::1", "[::1]", "[::1]:8080"])
def test_an_address_of_ipv6_is_allowed_in_each_spelling(allowed: str) -> None:
    """With brackets and without."""
    AddressRules([allowed]).read("http://[0::1]:8080/")


def test_a_word_is_no_public_address() -> None:
    """Only addresses are public."""
    assert not is_public("hooks")
