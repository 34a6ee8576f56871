"""Addresses and keys of remote adapters."""

from pathlib import Path
from typing import Any

import pytest

from app.adapters.remote import RemoteAdapter
from app.adapters.setup import AdapterSetup
from app.settings import SettingsError
from tests.adapters.programs import a_call
from tests.adapters.remote.stub import Stub, an_adapter


def build(**options: Any) -> RemoteAdapter:
    """Build an adapter of these options."""
    return RemoteAdapter(AdapterSetup("eu", options, environment={}))


@pytest.mark.parametrize(
    "url",
    [
        "https://far.example",
        "https://far.example:8443/dspatch",
        "http://127.0.0.1:8000",
        "http://localhost",
        "http://[::1]:8000/",
    ],
)
def test_takes_addresses_of_servers(url: str) -> None:
    """Https anywhere, http on this machine."""
    assert build(url=url).name == "eu"


def test_http_has_to_be_allowed() -> None:
    """In the clear only where the operator says so."""
    with pytest.raises(SettingsError, match=r"adapters\.eu: .*in the clear"):
        build(url="http://far.example")
    assert build(url="http://far.example", allow_http=True).kind == "remote"


@pytest.mark.parametrize(
    "url",
    [
        "far.example",
        "ftp://far.example",
        "https://",
        "https://user:secret@far.example",
        "https://far.example?a=1",
        "https://far.example#a",
        "https://far.example:0",
        "https://far.example:65536",
        "https://[::1",
    ],
)
def test_refuses_what_is_no_address(url: str) -> None:
    """The start is refused, without the address, which may hold a secret."""
    with pytest.raises(SettingsError, match=r"adapters\.eu: Value error, url: ") as caught:
        build(url=url)
    assert "secret" not in str(caught.value)


def test_refuses_wrong_options() -> None:
    """An option that is not known, missing, or a key that is not there."""
    for options, sentence in (
        ({}, r"adapters\.eu\.url: "),
        ({"url": "https://a", "colour": 1}, r"adapters\.eu\.colour: "),
        ({"url": "https://a", "api_key_env": "NONE"}, r"adapters\.eu: the variable NONE is not"),
        ({"url": "https://a", "api_key": "a", "api_key_env": "B"}, r"adapters\.eu: .*give one of"),
    ):
        with pytest.raises(SettingsError, match=sentence):
            build(**options)


@pytest.mark.parametrize("way", ["api_key", "api_key_env", "api_key_file"])
async def test_shows_its_key(way: str, tmp_path: Path) -> None:
    """The key stands in the header of every call, wherever it is kept."""
    file = tmp_path / "key"
    file.write_text("dsp_x\n")
    stub = Stub()
    kept: dict[str, Any] = {"api_key": "dsp_x", "api_key_env": "KEY", "api_key_file": str(file)}
    adapter = an_adapter(stub, None, **{way: kept[way]})
    await adapter.execute_program(a_call())
    assert {of.headers["authorization"] for of in stub.requests} == {"Bearer dsp_x"}


async def test_has_no_key_unless_it_is_given() -> None:
    """A Dspatch without keys is called without one, at the address and below it."""
    stub = Stub()
    await an_adapter(stub).execute_program(a_call())
    assert not any("authorization" in of.headers for of in stub.requests)
    assert {of.url.copy_with(path="/", query=None) for of in stub.requests} == {
        "https://far.example/"
    }
