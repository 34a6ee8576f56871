"""Which receivers may be reached: public ones by https, and those that the operator allows.

A client names the receiver, and this process stands inside the operator's network: whatever is not
of the public internet is refused, however it is spelled. Names are judged by what they resolve to.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from yarl import URL

LONGEST = 2_048
"""Characters of an address."""

LONGEST_NAME = 253
"""Characters of a host's name."""

_UNFIT = re.compile(r"[\x00-\x20\x7f\\]")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"(^|\.)([0-9]+|0x[0-9a-f]*)$")
"""A last part by which resolvers take the whole for an address: 127.1, 0x7f000001, 2130706433."""

_IPV4_INSIDE = [
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by carriers; holds a cloud's metadata, too
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's metadata amid public addresses
        "169.254.0.0/16",  # link-local, metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocols
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
]
_IPV6_PUBLIC = IPv6Network("2000::/3")
_IPV6_INSIDE = [
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocols, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
]
_NAT64 = IPv6Network("64:ff9b::/96")


class RefusedAddressError(Exception):
    """The receiver may not be reached; the message says why, without its address."""


class AddressRules:
    """Says where a receiver may stand; `allowed_hosts` are exempt, each a `host` or `host:port`."""

    def __init__(self, allowed_hosts: Iterable[str] = ()) -> None:
        self._allowed = {host.lower() for host in allowed_hosts}

    def read(self, text: str) -> URL:
        """Parse an address, which is reached as it was parsed; RefusedAddressError."""
        if len(text) > LONGEST or _UNFIT.search(text):
            raise RefusedAddressError(f"It is no address of up to {LONGEST} characters.")
        try:
            url = URL(text)
        except ValueError:
            raise RefusedAddressError("It is no address.") from None
        host = url.raw_host
        if url.scheme not in {"http", "https"} or not host or not url.port:
            raise RefusedAddressError("It is no address of a web server.")
        if "@" in url.raw_authority or "@" in _authority(text):
            raise RefusedAddressError("It must not hold user information.")
        if self._allows(host, url.port):
            return url
        if url.scheme != "https":
            raise RefusedAddressError("Its scheme must be https.")
        _require_public_host(host)
        return url

    def require_public(self, host: str, port: int, addresses: Iterable[str]) -> None:
        """Check all that a name resolves to; RefusedAddressError where one of them is not public.

        It does not matter of a host that is allowed.
        """
        if not self._allows(host, port) and not all(map(is_public, addresses)):
            raise RefusedAddressError("Its name resolves to an address that is not public.")

    def _allows(self, host: str, port: int) -> bool:
        plain = host.rstrip(".")
        bracketed = f"[{plain}]" if ":" in plain else plain
        return not self._allowed.isdisjoint({plain, bracketed, f"{bracketed}:{port}"})


def _authority(text: str) -> str:
    return re.split(r"[/?#]", text.partition("://")[2], maxsplit=1)[0]


def _require_public_host(host: str) -> None:
    """Refuse what is an address and not public, and what is neither address nor name."""
    plain = host.removesuffix(".")
    if ":" in host or _NUMBER.search(plain):
        if not is_public(plain):
            raise RefusedAddressError("It is an address that is not public.")
    elif len(plain) > LONGEST_NAME or not all(map(_LABEL.fullmatch, plain.split("."))):
        raise RefusedAddressError("Its host is no name.")


def is_public(text: str) -> bool:
    """Tell whether an IP address is of the public internet; what is spelled unusually is not."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if "%" in text:  # an address of one link alone
        return False
    if isinstance(address, IPv6Address):
        address = _embedded(address) or address
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _IPV4_INSIDE)
    return address in _IPV6_PUBLIC and not any(address in network for network in _IPV6_INSIDE)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Find the IPv4 address to which packets go in the end, where that is so."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped
