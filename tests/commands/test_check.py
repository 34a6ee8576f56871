"""`dspatch check`, as an operator types it."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.commands.check import _leaves
from app.commands.cli import cli
from app.database import Database

ILL = '[adapters.ill]\nkind = "mock"\nhealth_error = "the [model] is away"\n'
STANDARD = ["system_status", "adapter_status", "resource_status", "database_connectivity"]


@pytest.fixture
def _on_database(database_url: str, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - emptied after us
    monkeypatch.setenv("DSPATCH_DATABASE__URL", database_url)


def _check(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["check", *arguments], env={"COLUMNS": "200"})


def _document(result: Result) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.mark.usefixtures("_on_database")
def test_a_report_for_programs_has_the_contracts_shape() -> None:
    """And two checks that only an operator asks for: the schema, and the connections."""
    result = _check("--json")
    report = _document(result)
    assert result.exit_code == 0
    assert (report["check_level"], report["overall_status"]) == ("standard", "healthy")
    assert list(report["checks"]) == [*STANDARD, "database_schema", "database_connections"]
    assert report["summary"]["total_checks"] == 6
    connections = report["checks"]["database_connections"]["result"]
    assert connections["per_process_total"] == sum(connections["per_process"].values())
    assert connections["in_use"] >= 1
    assert (connections["live_processes"], connections["needed"]) == (0, 0)


@pytest.mark.usefixtures("_on_database")
def test_people_read_every_figure(tmp_path: Path) -> None:
    """In a table; a warning is no bad news yet."""
    config = tmp_path / "dspatch.toml"
    config.write_text(ILL, encoding="utf-8")
    result = _check("--level", "comprehensive", "--config", str(config))
    read = re.sub(r"[\s│]+", " ", result.stdout)  # whatever the width of the terminal
    assert result.exit_code == 0
    assert "warning: 9 of 10 checks are healthy" in read
    assert "adapter_statuses ill error: the [model] is away" in read
    assert "resource_checks signatures count: 0" in read


def test_a_database_that_is_away_is_bad_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report is printed all the same."""
    monkeypatch.setenv("DSPATCH_DATABASE__URL", "postgresql://nobody@127.0.0.1:1/nothing")
    result = _check("--json")
    checks = _document(result)["checks"]
    assert result.exit_code == 1
    assert checks["database_connectivity"]["error"] == "The database does not answer."
    assert checks["database_schema"]["result"] is None
    assert checks["system_status"]["status"] == "healthy"


def test_a_schema_that_is_not_ours_is_bad_news(
    postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to do about it."""
    monkeypatch.setenv("DSPATCH_DATABASE__URL", postgres.url("postgres"))
    result = _check("--json")
    found = _document(result)["checks"]["database_schema"]
    assert result.exit_code == 1
    assert found["result"] == {"at_head": False}
    assert "run `dspatch migrate`" in found["error"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [([], "database.url: needed"), (["--level", "deepest"], "'deepest' is not one of")],
)
def test_wrong_use_exits_with_two(
    arguments: Sequence[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named."""
    monkeypatch.delenv("DSPATCH_DATABASE__URL", raising=False)
    result = _check(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_figures_are_led_to_by_words() -> None:
    """Lists of figures stay together; of nothing there is nothing."""
    found = {
        "part": {"share": 0.123456, "size": 12_345.6, "limit": None, "is_well": True},
        "names": ["a", "b"],
        "none_of_them": [],
        "errors": [{"count": 2}, {"count": 1}],
    }
    assert list(_leaves(found)) == [
        ("part share", "0.123"),
        ("part size", "12,345.6"),
        ("part limit", "none"),
        ("part is_well", True),
        ("names", "a, b"),
        ("none_of_them", "none"),
        ("errors 1 count", 2),
        ("errors 2 count", 1),
    ]
    assert list(_leaves(None)) == []


def test_the_command_shows_how_it_is_used() -> None:
    """Its help has an example, and the options that all have."""
    result = _check("--help")
    assert result.exit_code == 0
    assert "For example `dspatch check" in result.stdout
    for option in ("--config", "--local", "--data-dir", "--json", "--level"):
        assert option in result.stdout
