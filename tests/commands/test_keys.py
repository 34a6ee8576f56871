"""`dspatch keys`, as an operator types it."""

import json
import re
import secrets

import pytest
from typer.testing import CliRunner

from app.commands.cli import cli
from app.database import Database
from app.models.key_text import KeyText
from tests.support.server import run_dspatch

Environment = dict[str, str]


@pytest.fixture
def environment(database_url: str, database: Database) -> Environment:  # noqa: ARG001 - emptied after us
    """Variables that point at this worker's database."""
    return {"DSPATCH_DATABASE__URL": database_url}


async def test_a_key_is_made_listed_and_revoked(environment: Environment) -> None:
    """In JSON, with the contract's members; the key itself is told once."""
    wanted = ("shop", "--scope", "execute", "--scope", "read", "--expires-days", "2", "--json")
    code, out, _ = await run_dspatch("keys", "create", *wanted, environment=environment)
    made = json.loads(out)
    assert code == 0
    assert list(made) == ["key_id", "name", "scopes", "expires_at", "key"]
    assert (made["name"], made["scopes"]) == ("shop", ["read", "execute"])
    assert made["expires_at"].endswith("Z")
    key = KeyText.parse(made["key"])
    assert key is not None
    assert key.key_id == made["key_id"]

    code, out, _ = await run_dspatch("keys", "revoke", key.key_id, environment=environment)
    assert (code, out) == (0, f"The key {key.key_id} is revoked.\n")
    code, out, _ = await run_dspatch("keys", "list", "--json", environment=environment)
    (listed,) = json.loads(out)["items"]
    assert code == 0
    assert list(listed) == [*list(made)[:4], "last_used_at", "revoked_at"]
    assert {**listed, **made} == {**listed, "key": made["key"]}
    assert listed["last_used_at"] is None
    assert listed["revoked_at"] is not None
    assert key.secret not in out


def test_a_key_is_shown_to_people_so_that_a_shell_can_take_it(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key alone goes to standard output; what is said of it goes beside."""
    monkeypatch.setenv("DSPATCH_DATABASE__URL", environment["DSPATCH_DATABASE__URL"])
    made = CliRunner().invoke(cli, ["keys", "create", "shop", "--scope", "admin"])
    key = KeyText.parse(made.stdout.strip())
    assert made.exit_code == 0
    assert key is not None
    assert made.stderr == f"The key {key.key_id} never expires. It is not shown again:\n"
    ending = CliRunner().invoke(
        cli, ["keys", "create", "shop", "--scope", "admin", "--expires-days", "1"]
    )
    assert re.search(r"expires 20\d\d-\d\d-\d\dT\S+Z\. It is", ending.stderr)


def test_keys_are_listed_for_people(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table with a row for each; a second revocation says that it was not needed."""
    monkeypatch.setenv("DSPATCH_DATABASE__URL", environment["DSPATCH_DATABASE__URL"])
    run = CliRunner().invoke
    made = run(cli, ["keys", "create", "shop", "--scope", "read", "--scope", "execute", "--json"])
    key_id = json.loads(made.stdout)["key_id"]
    for words in ("is revoked", "had been revoked before"):
        revoked = run(cli, ["keys", "revoke", key_id])
        assert (revoked.exit_code, revoked.stdout) == (0, f"The key {key_id} {words}.\n")
    listed = run(cli, ["keys", "list"], env={"COLUMNS": "200"})
    assert listed.exit_code == 0
    assert re.search(rf"{key_id} +│ shop +│ read, execute +│ +│ +│ 20", listed.stdout)


def test_a_key_that_is_not_there_is_bad_news(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command says so in a sentence, and exits with 1."""
    monkeypatch.setenv("DSPATCH_DATABASE__URL", environment["DSPATCH_DATABASE__URL"])
    result = CliRunner().invoke(cli, ["keys", "revoke", "0000000a"])
    assert (result.exit_code, result.stderr) == (1, "dspatch: There is no key 0000000a.\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["shop"], "Missing option '--scope'"),
        (["shop", "--scope", "everything"], "'everything' is not one of"),
        (["a shop", "--scope", "read"], "a name has letters"),
        (["shop\n", "--scope", "read"], "a name has letters"),
        (["shop", "--scope", "read", "--expires-days", "0"], "--expires-days"),
        (["shop", "--scope", "read"], "database.url: needed"),
    ],
)
def test_wrong_use_exits_with_two(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is named; without a database there is nothing to make keys in."""
    monkeypatch.delenv("DSPATCH_DATABASE__URL", raising=False)
    result = CliRunner().invoke(cli, ["keys", "create", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert words in result.stderr


@pytest.mark.parametrize("end", ["", "x"])
def test_a_whole_key_is_no_id_and_is_not_shown(end: str) -> None:
    """Whoever pastes a key where its id belongs does not find it in the terminal's history."""
    key = KeyText.new(secrets.choice)
    result = CliRunner().invoke(cli, ["keys", "revoke", key.text + end], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "8 small letters and digits" in result.stderr
    assert key.secret not in result.output


@pytest.mark.parametrize("command", ["create", "list", "revoke"])
def test_every_command_shows_how_it_is_used(command: str) -> None:
    """Its help has an example, and the options that all have."""
    result = CliRunner().invoke(cli, ["keys", command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert f"For example `dspatch keys {command}" in result.stdout
    for option in ("--config", "--local", "--data-dir"):
        assert option in result.stdout
