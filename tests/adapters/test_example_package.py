"""A package with an adapter of its own, installed into a folder, runs the suite on it."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

EXAMPLE = Path(__file__).parent / "example"
ROOT = Path(__file__).parents[2]

FORGETFUL = '''
from echoes import EchoAdapter

class Forgetful(EchoAdapter):
    """Says that it has created a program, and has not."""

    async def create_program(self, program):
        pass
'''


def install(site: Path, adapters: Mapping[str, str]) -> None:
    """Put the package into a folder as an installer would, with these entry points."""
    shutil.copytree(EXAMPLE, site, ignore=shutil.ignore_patterns("__pycache__"))
    (site / "forgetful.py").write_text(FORGETFUL)
    info = site / "echoes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: echoes\nVersion: 1.0\n")
    entries = [f"{name} = {factory}" for name, factory in adapters.items()]
    (info / "entry_points.txt").write_text("\n".join(["[dspatch.adapters]", *entries]))


def run_its_tests(site: Path, *arguments: str) -> str:
    """Run the package's own tests, and give what they print; it needs no plugin but one."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    plugins = ("-p", "pytest_asyncio.plugin", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", "-q", "-rf", *plugins, *arguments, str(site)]
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=site, env=environment, capture_output=True, check=False
    )
    return (done.stdout + done.stderr).decode()


def entry_points() -> Mapping[str, str]:
    """Read the entry points of the package out of its own description."""
    description = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())
    found: Mapping[str, str] = description["project"]["entry-points"]["dspatch.adapters"]
    return found


def test_an_adapter_of_another_package_passes_the_suite(tmp_path: Path) -> None:
    """Found by its entry point, run by the package's own pytest: every test of the suite."""
    install(tmp_path / "site", entry_points())
    output = run_its_tests(tmp_path / "site")
    assert re.search(r"^(7|8)\d passed in", output, re.MULTILINE), output


def test_an_adapter_that_lies_does_not(tmp_path: Path) -> None:
    """The suite finds what an adapter does not do, and names the behaviour."""
    install(tmp_path / "site", {"echo": "forgetful:Forgetful"})
    output = run_its_tests(tmp_path / "site", "-k", "held or replaced or gone")
    assert "FAILED test_echoes.py::test_is_held_once_created" in output
    assert "FAILED test_echoes.py::test_is_replaced_by_the_same_id" in output
