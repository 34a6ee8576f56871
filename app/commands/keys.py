"""`dspatch keys`: make, list and revoke keys."""

import re
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer
from pydantic import Field
from rich.table import Table

from app.actions.key_creation import KeyCreation, KeyCreationInput
from app.actions.key_revocation import KeyRevocation
from app.api.views import NAME, Instant, View
from app.commands.console import err, out
from app.commands.on_database import on_database
from app.commands.options import DEFAULT_DATA_DIR, AsJSON, Config, DataDir, LocalDatabase
from app.database import Database
from app.models import ApiKey
from app.models.audit import CLI
from app.models.key_text import ID
from app.models.scopes import Scope
from app.settings import Settings

LONGEST_DAYS = 36_500

keys = typer.Typer(name="keys", help="Make, list and revoke keys.", no_args_is_help=True)


class KeyView(View):
    """A key, without what makes it one."""

    key_id: str = Field(validation_alias="id")
    name: str
    scopes: list[Scope]
    expires_at: Instant | None


class ListedKeyView(KeyView):
    """A key and what became of it."""

    last_used_at: Instant | None
    revoked_at: Instant | None


def _name(name: str) -> str:
    if not re.fullmatch(NAME, name):
        raise typer.BadParameter("a name has letters, digits, and _ . - after the first")
    return name


def _key_id(key_id: str) -> str:
    """Refuse a whole key, which would be shown in the answer."""
    if not re.fullmatch(ID, key_id):
        raise typer.BadParameter("an id has 8 small letters and digits: those after dsp_")
    return key_id


@keys.command("create")
def create_key(  # noqa: PLR0913 - options of the command line
    name: Annotated[str, typer.Argument(callback=_name, help="Whose key it is.")],
    *,
    scope: Annotated[list[Scope], typer.Option(help="What it allows; may be given again.")],
    expires_days: Annotated[
        int | None, typer.Option(min=1, max=LONGEST_DAYS, help="Days to live; without: for ever.")
    ] = None,
    as_json: AsJSON = False,
    config: Config = None,
    local: LocalDatabase = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Make a key, and print it once; nobody can read it again.

    For example `dspatch keys create shop --scope execute --config dspatch.toml`, or
    `dspatch keys create ci --scope manage --scope execute --expires-days 90 --json`.
    """
    expires_in = None if expires_days is None else timedelta(days=expires_days)
    wanted = KeyCreationInput(name, scope, expires_in, CLI)
    report = on_database(
        lambda database, _: KeyCreation(database, secrets.choice)(wanted),
        config,
        data_dir if local else None,
    )
    shown = KeyView.model_validate(report.key).model_dump(mode="json")
    if as_json:
        out.print_json(data={**shown, "key": report.text.text})
    else:
        end = "never expires" if shown["expires_at"] is None else f"expires {shown['expires_at']}"
        err.print(f"The key {report.key.id} {end}. It is not shown again:", soft_wrap=True)
        out.print(report.text.text, soft_wrap=True, highlight=False)


@keys.command("list")
def list_keys(
    *,
    as_json: AsJSON = False,
    config: Config = None,
    local: LocalDatabase = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """List all keys, the newest first, with what became of them.

    For example `dspatch keys list --config dspatch.toml`, or `dspatch keys list --json`.
    """
    rows = on_database(_all_keys, config, data_dir if local else None)
    items = [ListedKeyView.model_validate(row).model_dump(mode="json") for row in rows]
    if as_json:
        out.print_json(data={"items": items})
    else:
        table = Table(*ListedKeyView.model_fields)
        for item in items:
            table.add_row(*map(_cell, item.values()))
        out.print(table)


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(callback=_key_id, help="The 8 characters after dsp_.")],
    *,
    config: Config = None,
    local: LocalDatabase = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Revoke a key: five seconds later every process refuses it.

    For example `dspatch keys revoke 3kv7d0pq --config dspatch.toml`.
    """
    was_live = on_database(
        lambda database, _: KeyRevocation(database)(key_id, CLI),
        config,
        data_dir if local else None,
    )
    done = "is revoked" if was_live else "had been revoked before"
    out.print(f"The key {key_id} {done}.", soft_wrap=True)


async def _all_keys(database: Database, _settings: Settings) -> Sequence[ApiKey]:
    async with database.transaction() as tx:
        return await tx.api_keys.list_all()


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case list():
            return ", ".join(value)
        case _:
            return str(value)
