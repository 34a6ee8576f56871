"""The Dockerfile builds what it says: pinned, without tools, for one user that is not root."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from app.commands.cli import COMMANDS
from tests.deploy.manifests import BASE, pods
from tests.deploy.tools import find_tool

ROOT = Path(__file__).parent.parent.parent
DOCKERFILE = ROOT / "Dockerfile"

Instruction = tuple[str, str]


@pytest.fixture
def stages() -> list[list[Instruction]]:
    """The instructions of each stage; the first is its FROM."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found: list[list[Instruction]] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line:
            word, _, rest = line.partition(" ")
            if word == "FROM":
                found.append([])
            found[-1].append((word, rest))
    return found


def _only(stage: list[Instruction], word: str) -> str:
    (found,) = [rest for one, rest in stage if one == word]
    return found


def test_hadolint_finds_nothing() -> None:
    """The linter of Dockerfiles has no complaint."""
    hadolint = find_tool("hadolint")
    assert hadolint
    command = [hadolint, str(DOCKERFILE)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    assert done.returncode == 0, done.stdout


def test_what_it_stands_on_is_pinned(stages: list[list[Instruction]]) -> None:
    """Whatever comes from a registry comes by its digest, wheels by their hashes."""
    names = {"scratch"}
    for stage in stages:
        image, _, name = stage[0][1].partition(" AS ")
        assert image in names or re.search(r"@sha256:[0-9a-f]{64}$", image), image
        names.add(name)
    installs = [part for stage in stages for _, rest in stage for part in rest.split("&&")]
    for install in [part for part in installs if re.search(r"pip .*install", part)]:
        assert "--require-hashes" in install or "--no-deps" in install or "uninstall" in install


def test_the_last_stage_holds_what_was_copied(stages: list[list[Instruction]]) -> None:
    """It runs nothing while it is built, and only other stages give to it."""
    first, *rest = stages[-1]
    assert first == ("FROM", "scratch")
    assert not [one for one in rest if one[0] in {"RUN", "ADD"}]
    copied = [of for word, of in rest if word == "COPY"]
    assert copied
    assert all(of.startswith("--from=") for of in copied)


def test_it_runs_as_the_user_of_the_manifests(stages: list[list[Instruction]]) -> None:
    """User and group of the image are those that the pods ask for."""
    user = _only(stages[-1], "USER")
    for name, template in pods(BASE):
        asked = template["spec"]["securityContext"]
        assert user == f"{asked['runAsUser']}:{asked['runAsGroup']}", name


def test_it_starts_a_command_of_ours(stages: list[list[Instruction]]) -> None:
    """Without arguments it serves; a shell, which it has not, is not asked to start it."""
    assert _only(stages[-1], "ENTRYPOINT") == '["dspatch"]'
    command, *_ = json.loads(_only(stages[-1], "CMD"))
    assert command in {one.__name__ for one in COMMANDS}


def test_what_is_copied_is_there_to_be_copied(stages: list[list[Instruction]]) -> None:
    """Each source is a file of the repository that .dockerignore lets through."""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    for word, rest in (one for stage in stages for one in stage):
        if word == "COPY" and not rest.startswith("--from="):
            *sources, _ = rest.split()
            for source in sources:
                assert (ROOT / source).exists(), source
                assert source.split("/")[0] in let_through, source
