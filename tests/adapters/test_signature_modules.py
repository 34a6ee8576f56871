"""Signatures out of Python modules: what may load, and what a module cannot do to the server."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.adapters.dspy.modules import answer_of, main
from app.adapters.signature_modules import ModuleLoadingError, SignatureModules

SIGNATURES = '''
from typing import Annotated, Literal, Optional

import dspy
from pydantic import Field


class Answer(dspy.Signature):
    """Answer the question."""

    question: Annotated[str, Field(max_length=200)] = dspy.InputField(desc="What is asked.")
    tags: list[str] = dspy.InputField(default=[])
    mood: Literal["good", "bad"] = dspy.OutputField()
    sure: Optional[float] = dspy.OutputField(ge=0, le=1)


class Odd(dspy.Signature):
    question: complex = dspy.InputField()
    answer: set = dspy.OutputField()
'''


def write(folder: Path, name: str, source: str) -> None:
    """Write a module of the package `acme`."""
    package = folder / "acme"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    (package / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder on the path in which packages can be written."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def a_loader(*packages: str, timeout_s: float = 50.0) -> SignatureModules:
    """Make a loader that allows these packages."""
    return SignatureModules(packages, {"PATH": os.environ["PATH"]}, timeout_s=timeout_s)


def is_running(pid: int) -> bool:
    """Tell whether there is such a process, and not only what is left of it."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


async def fault_of(reference: str, *packages: str, timeout_s: float = 50.0) -> ModuleLoadingError:
    """Load what does not load."""
    with pytest.raises(ModuleLoadingError) as failure:
        await a_loader(*(packages or ("acme",)), timeout_s=timeout_s).load(reference)
    return failure.value


async def test_a_signature_class_arrives_as_ours(folder: Path) -> None:
    """With doc string, descriptions, types, constraints and defaults."""
    write(folder, "signatures", SIGNATURES)
    definition = await a_loader("acme").load("acme.signatures:Answer")
    assert definition.instructions == "Answer the question."
    assert definition.notation == (
        "question: constrained[string, max_length=200], tags: list[string] = [] "
        '-> mood: atom["good", "bad"], sure: optional[constrained[float, min=0, max=1]]'
    )
    assert definition.inputs[0].description == "What is asked."


async def test_types_that_are_none_of_ours_are_named(folder: Path) -> None:
    """All of them, with their fields; the module itself has loaded."""
    write(folder, "signatures", SIGNATURES)
    fault = await fault_of("acme.signatures:Odd")
    assert fault.is_loaded
    assert "question: no type takes what <class 'complex'> does" in str(fault)
    assert "answer: no type takes what <class 'set'> does" in str(fault)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import sys; sys.exit(0)", "importing it ended the process"),
        ("import os; os._exit(3)", "importing it ended the process"),
        ("import os; os.kill(os.getpid(), 9)", "importing it ended the process"),
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("this is no Python", "SyntaxError"),
        ("import os, sys; os.write(int(sys.argv[2]), b'[]\\n')", "no answer of ours"),
        ("import os, sys; os.write(int(sys.argv[2]), b'x\\n')", "no answer of ours"),
        ("import os, sys; os.write(int(sys.argv[2]), b'x' * 9_000_000)", "answer is too long"),
        (
            """import os, sys; os.write(int(sys.argv[2]),
               b'{"inputs": [], "outputs": [], "instructions": ""}\\n')""",
            "inputs needs at least one field",
        ),
    ],
    ids=range(9),
)
async def test_what_a_module_does_stays_in_its_process(
    folder: Path, source: str, said: str
) -> None:
    """Exits, crashes, raises, answers nonsense: each is told."""
    write(folder, "bad", source)
    assert said in str(await fault_of("acme.bad:Answer"))


async def test_a_module_that_hangs_is_ended(folder: Path) -> None:
    """At the time limit, with all that it has started."""
    source = """
        import pathlib, subprocess, sys, time
        started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        pathlib.Path(__file__).with_name("pid").write_text(str(started.pid))
        time.sleep(600)
    """
    write(folder, "slow", source)
    fault = await fault_of("acme.slow:Answer", timeout_s=5.0)
    assert str(fault) == "it did not load within 5000 ms"
    assert not is_running(int((folder / "acme" / "pid").read_text(encoding="utf-8")))


async def test_prints_do_not_reach_the_server(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither standard output nor standard error; variables of the server are not seen either."""
    source = """
        import os, sys
        print("loud"); print("louder", file=sys.stderr); os.write(1, b"loudest")
        raise RuntimeError(sorted(os.environ))
    """
    write(folder, "loud", source)
    loader = SignatureModules(["acme"], {"PATH": "/bin", "DSPATCH_DATABASE__URL": "secret"})
    with pytest.raises(ModuleLoadingError) as failure:
        await loader.load("acme.loud:Answer")
    assert "DSPATCH_DATABASE__URL" not in str(failure.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("reference", "packages"),
    [
        ("acme.signatures:Answer", ()),
        ("acme.signatures:Answer", ("other",)),
        ("acme.signatures:Answer", ("acme.other", "acm", "acme.signatures.deeper", "acme.")),
        ("os:path", ("acme",)),
    ],
)
async def test_other_packages_are_refused(reference: str, packages: tuple[str, ...]) -> None:
    """Only a package that is named, or one below it, may load."""
    with pytest.raises(ModuleLoadingError, match=r"is in no package of the setting \[imports\]"):
        await SignatureModules(packages, {}).load(reference)


@pytest.mark.parametrize(
    "reference", ["acme", "acme:", ":Answer", "acme:a.b", "acme/x:A", "acme x:A", "../x:A", "é:A"]
)
async def test_what_is_no_name_is_refused(reference: str) -> None:
    """A reference is package.module:Name."""
    assert str(await fault_of(reference)) == "a signature module is named package.module:Name"


def test_a_refused_name_is_never_imported(folder: Path) -> None:
    """An audit hook in a process of its own sees neither an import of it nor a child."""
    write(folder, "signatures", "raise RuntimeError")
    program = """
        import asyncio, sys
        from app.adapters.signature_modules import ModuleLoadingError, SignatureModules
        seen = []
        sys.addaudithook(lambda event, arguments: seen.append((event, str(arguments))))
        async def run():
            try:
                await SignatureModules(["other", "acme.other"], {}).load("acme.signatures:Answer")
            except ModuleLoadingError as error:
                print(error)
        asyncio.run(run())
        started = [event for event, _ in seen if event in {"subprocess.Popen", "os.posix_spawn"}]
        named = [event for event, arguments in seen if "acme" in arguments]
        print(started, named)
    """
    done = subprocess.run(  # noqa: S603 - the program is the one above
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
    )
    assert done.stdout.splitlines() == [
        "acme.signatures is in no package of the setting [imports] packages",
        "[] []",
    ]


def test_the_child_answers_on_its_pipe(folder: Path) -> None:
    """A line of JSON, whatever happens; here in this process."""
    (folder / "lone_empty.py").touch()
    reading, writing = os.pipe()
    main("lone_empty:Nothing", str(writing))
    with os.fdopen(reading, encoding="utf-8") as pipe:
        assert pipe.readline() == (
            '{"loaded": true, "error": "AttributeError: '
            "module 'lone_empty' has no attribute 'Nothing'\"}\n"
        )


def test_the_answer_has_the_fields(folder: Path) -> None:
    """As the API's documents."""
    (folder / "lone_signatures.py").write_text(SIGNATURES, encoding="utf-8")
    answer: Any = answer_of("lone_signatures:Answer")
    assert [field["name"] for field in answer["inputs"]] == ["question", "tags"]
    assert answer["instructions"] == "Answer the question."
