import logging
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.settings import AdapterSettings, DatabaseSettings, LMSettings, Settings
from app.telemetry.logs import JSONFormatter, TextFormatter
from app.telemetry.masking import Mask, secrets_of


def _settings(tmp_path: Path) -> Settings:
    (tmp_path / "key").write_text("canary-of-a-file\n")
    return Settings(
        database=DatabaseSettings(
            url=SecretStr("postgresql://me:c%40nary-dsn@db/name?password=canary-query")
        ),
        lms={
            "main": LMSettings(model="openai/x", api_key=SecretStr("canary-of-an-lm")),
            "env": LMSettings(model="openai/x", api_key_env="LM_KEY"),
            "file": LMSettings(model="openai/x", api_key_file=tmp_path / "key"),
            "params": LMSettings(model="openai/x", params={"extra": {"api_key": "canary-param"}}),
        },
        adapters={
            "eu": AdapterSettings.model_validate(
                {"kind": "remote", "api_token": "canary-option", "key_file": "/nowhere"}
            )
        },
    )


def test_every_secret_of_the_settings_is_found(tmp_path: Path) -> None:
    """Those that stand there, and those that variables and files hold; the password alone, too."""
    found = secrets_of(_settings(tmp_path), {"LM_KEY": "canary-of-a-variable"})
    assert found == {
        "postgresql://me:c%40nary-dsn@db/name?password=canary-query",
        "c%40nary-dsn",
        "c@nary-dsn",
        "canary-query",
        "canary-of-an-lm",
        "canary-of-a-variable",
        "canary-of-a-file",
        "canary-param",
        "canary-option",
    }


def test_settings_without_secrets_have_none() -> None:
    """Nothing is masked then but what looks like a secret."""
    assert secrets_of(Settings(), {}) == set()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("the key canary-1 is wrong", "the key … is wrong"),
        ("canary-1-longer and canary-1", "… and …"),
        ("?key=with%20a%20%2F and 'with a /'", "?key=… and '…'"),
        (r"""KeyError("quo'ted\n")""", 'KeyError("…")'),
        (r'{"key": "a \"b\" \u00fc"}', '{"key": "…"}'),
        ("a short one stays", "a short one stays"),
        ("dsp_Ab12cd34_c2VjcmV0LXdpdGg_Y2s rest", "… rest"),
        ("DSP_Ab12cd34_c2VjcmV0", "…"),
        ("{'Authorization': 'Bearer abc.def-ghi='}", "{'Authorization': 'Bearer …'}"),
        ("authorization: basic dXNlcjpwYXNz", "authorization: basic …"),
        ("postgresql://me:word@db/name", "postgresql://…@db/name"),
        ("https://host/path?x=1", "https://host/path?x=1"),
    ],
)
def test_secrets_are_masked(text: str, masked: str) -> None:
    """However they are written: as they are, in addresses, in Python's quotes."""
    mask = Mask({"canary-1", "canary-1-longer", "with a /", "quo'ted\n", 'a "b" ü', "short"})
    assert mask(text) == masked


@pytest.mark.parametrize("formatter", [JSONFormatter, TextFormatter])
def test_no_line_tells_a_secret(formatter: type[JSONFormatter | TextFormatter]) -> None:
    """Neither in the message, nor in its fields, nor in a trace or what caused it."""
    error = KeyError("canary-1")
    error.__cause__ = ValueError("canary-1 as cause")
    info = (KeyError, error, None)
    record = logging.LogRecord("l", logging.ERROR, "", 0, "with %s", ("canary-1",), info)
    record.fields = {"path": "/canary-1", "status": 200}
    line = formatter(Mask({"canary-1"})).format(record)
    assert "canary-1" not in line
    assert "with " in line
    assert "as cause" in line
