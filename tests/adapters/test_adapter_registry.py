"""The registry: what there is by default, by settings and by entry point."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from app.adapters.base import AdapterHealth, Combines
from app.adapters.building import BUILT_IN
from app.adapters.registry import AdapterRegistry, UnknownAdapterError
from app.adapters.setup import AdapterSetup
from app.settings import AdapterSettings, LMSettings, SettingsError
from tests.adapters.conformance.harness import HARNESSES
from tests.adapters.programs import a_program
from tests.support.adapters import ScriptedAdapter
from tests.support.clock import ManualClock

PACKAGE = '''
class Echo:
    """Complete."""
    kind = "echo"
    def __init__(self, setup):
        self.name = setup.name
        self.setup = setup
    async def operation(self, *_):
        return None
    create_program = execute_program = list_programs = delete_program = operation
    get_program_info = validate_signature = health_check = get_stats = cleanup = operation

class Half:
    """Lacks two operations."""
    kind = "half"
    def __init__(self, setup):
        self.name = setup.name
    async def operation(self, *_):
        return None
    create_program = list_programs = delete_program = operation
    get_program_info = validate_signature = health_check = get_stats = operation

def broken(setup):
    raise RuntimeError("no such colour")
'''


def build(
    adapters: Mapping[str, Mapping[str, Any]] | None = None,
    lms: Mapping[str, LMSettings] | None = None,
) -> AdapterRegistry:
    """Build a registry out of settings as they stand in the file."""
    settings = {name: AdapterSettings(**of) for name, of in (adapters or {}).items()}
    shared = AdapterSetup("", lms=lms or {}, environment={"KEY": "secret"}, clock=ManualClock())
    return AdapterRegistry.from_settings(settings, shared)


def install(folder: Path, name: str, *entries: str) -> None:
    """Install a package that names adapters, as an installer would."""
    (folder / "echoes.py").write_text(PACKAGE)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[dspatch.adapters]", *entries]))


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder whose packages are installed."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_built_in_kinds_exist_unnamed() -> None:
    """Without settings there is one adapter of each built-in kind, under its own name."""
    registry = build()
    assert registry.names() == ["dspy", "mock", "worker"]
    assert [(adapter.name, adapter.kind) for adapter in registry] == [
        ("mock", "mock"),
        ("dspy", "dspy"),
        ("worker", "worker"),
    ]
    assert len(registry) == 3


def test_every_kind_is_tested() -> None:
    """A kind of the registry has its harness, so that the conformance suite runs on it."""
    assert HARNESSES.keys() == BUILT_IN.keys()


def test_named_ones_stand_beside() -> None:
    """Settings make more adapters of a kind, each with options of its own."""
    registry = build({"slow": {"kind": "mock", "latency_ms": 100}, "mock": {"kind": "mock"}})
    assert registry.names() == ["dspy", "mock", "slow", "worker"]


def test_members_are_the_adapters_of_their_names() -> None:
    """A combination is made of adapters of the registry, however late these stand in the file."""
    registry = build(
        {
            "outer": {"kind": "failover", "members": ["inner", "mock"]},
            "inner": {"kind": "failover", "members": ["mock", "slow"]},
            "slow": {"kind": "mock", "latency_ms": 100},
        }
    )
    outer, inner = registry.get("outer"), registry.get("inner")
    assert isinstance(outer, Combines)
    assert isinstance(inner, Combines)
    assert list(outer.members) == [inner, registry.get("mock")]
    assert list(inner.members) == [registry.get("mock"), registry.get("slow")]
    assert len(registry) == 6


def test_a_second_name_is_as_good_as_the_first() -> None:
    """For a program's adapter, for a kind, for a member, and for the unnamed one's settings."""
    registry = build(
        {
            "python_port": {"kind": "python_port", "processes": 3},
            "x": {"kind": "python_port"},
            "both": {"kind": "failover", "members": ["python_port", "x"]},
        }
    )
    assert registry.names() == ["both", "dspy", "mock", "worker", "x"]
    assert registry.get("python_port") is registry.get("worker")
    assert registry.get("x").kind == "worker"
    both = registry.get("both")
    assert isinstance(both, Combines)
    assert list(both.members) == [registry.get("worker"), registry.get("x")]


def test_get_names_what_there_is() -> None:
    """An unknown name is an error that lists the known ones; `find` gives None."""
    registry = build()
    assert registry.get("mock").kind == "mock"
    assert registry.find("none") is None
    with pytest.raises(UnknownAdapterError, match=r"adapter 'none'; .*: dspy, mock, worker"):
        registry.get("none")


@pytest.mark.parametrize(
    ("adapters", "sentence"),
    [
        (
            {"x": {"kind": "abacus"}},
            r"adapters\.x: there is no kind 'abacus'; there are: .*dspy.*mock",
        ),
        ({"mock": {"kind": "dspy"}}, r"adapters\.mock: this name belongs to the kind mock"),
        (
            {"worker": {"kind": "worker"}, "python_port": {"kind": "worker"}},
            r"adapters\.python_port: this is the second name of worker",
        ),
        ({"x": {"kind": "mock", "colour": 1}}, r"adapters\.x\.colour: "),
        ({"x": {"kind": "dspy", "colour": 1}}, r"adapters\.x\.colour: "),
        ({"x": {"kind": "failover"}}, r"adapters\.x\.members: "),
        ({"x": {"kind": "failover", "members": []}}, r"adapters\.x\.members: "),
        (
            {"x": {"kind": "failover", "members": ["mock", "nobody"]}},
            r"adapters\.x\.members: there is no adapter 'nobody'; there are: dspy, mock, worker, x",
        ),
        (
            {
                "x": {"kind": "failover", "members": ["mock", "y"]},
                "y": {"kind": "failover", "members": ["x"]},
            },
            r"adapters\.x\.members: it would be made of itself: x > y > x",
        ),
    ],
)
def test_refuses_wrong_settings(adapters: Mapping[str, Any], sentence: str) -> None:
    """A kind, a name or an option that cannot be refuses the start in one sentence."""
    with pytest.raises(SettingsError, match=sentence):
        build(adapters)


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        ({"kind": "dspy"}, 5),
        ({"kind": "dspy", "breaker": {"failures": 7}}, 7),
        ({"kind": "mock"}, None),
        ({"kind": "mock", "breaker": {}}, 5),
        ({"kind": "failover", "members": ["mock"]}, None),
        ({"kind": "failover", "members": ["mock"], "breaker": {"failures": 2}}, 2),
    ],
)
def test_adapters_have_breakers(settings: Mapping[str, Any], most: int | None) -> None:
    """Mocks and combinations have one only where it is given."""
    breaker = build({"x": settings}).get("x").breaker
    for _ in range((most or 100) - 1):
        breaker.admit().failed()
    assert breaker.state == "closed"
    breaker.admit().failed()
    assert breaker.state == ("closed" if most is None else "open")


def test_finds_installed_kinds(packages: Path) -> None:
    """A package names its factory in an entry point, which receives the whole setup."""
    install(packages, "echoes", "echo = echoes:Echo")
    lms = {"main": LMSettings(model="openai/small")}
    adapter = build({"e": {"kind": "echo", "volume": 11}}, lms).get("e").inner
    setup = adapter.setup  # type: ignore[attr-defined]
    assert (adapter.name, adapter.kind) == ("e", "echo")
    assert (setup.name, setup.options, setup.lms) == ("e", {"volume": 11}, lms)
    assert setup.environment == {"KEY": "secret"}
    assert isinstance(setup.clock, ManualClock)


def test_loads_only_what_is_named(packages: Path) -> None:
    """An installed kind that nobody uses is not imported, so that it cannot break the start."""
    install(packages, "echoes", "gone = no_such_module:Echo")
    assert "gone" not in build().names()


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("x = echoes:Half", r"adapters\.a: the adapter lacks execute_program, cleanup$"),
        ("x = echoes:broken", r"adapters\.a: the kind x cannot be used: no such colour"),
        ("x = echoes:missing", r"adapters\.a: the kind x cannot be used: .*missing"),
        ("x = no_such_module:Echo", r"adapters\.a: the kind x cannot be used: .*no_such_module"),
    ],
)
def test_refuses_installed_kinds_that_do_not_work(
    packages: Path, entry: str, sentence: str
) -> None:
    """What lacks an operation or cannot be built is refused at start, by its name."""
    install(packages, "echoes", entry)
    with pytest.raises(SettingsError, match=sentence):
        build({"a": {"kind": "x"}})


def test_refuses_a_kind_that_is_taken(packages: Path) -> None:
    """A package cannot take the name of a built-in kind, nor that of another package."""
    install(packages, "echoes", "mock = echoes:Echo")
    with pytest.raises(SettingsError, match="the adapter kind mock of echoes:Echo is taken"):
        build()


def test_refuses_two_packages_with_one_kind(packages: Path) -> None:
    """Two packages that claim one kind refuse the start."""
    install(packages, "echoes", "echo = echoes:Echo")
    install(packages, "others", "echo = echoes:Half")
    with pytest.raises(SettingsError, match="the adapter kind echo"):
        build()


class Clumsy(ScriptedAdapter):
    """Fails to clean up."""

    @override
    async def cleanup(self) -> None:
        """Fail."""
        raise RuntimeError("stuck")


class Sluggish(ScriptedAdapter):
    """Has something to do before its first call."""

    is_warm = False

    async def warm_up(self) -> None:
        """Do it."""
        self.is_warm = True

    @override
    async def health_check(self) -> AdapterHealth:
        """Be well once warm."""
        return AdapterHealth(self.is_warm, 0)


async def test_cleans_up_all_of_them(caplog: pytest.LogCaptureFixture) -> None:
    """One adapter that cannot be cleaned up is logged and keeps no other from it."""
    good = ScriptedAdapter(name="good")
    program = good.programs
    registry = AdapterRegistry([Clumsy(name="clumsy"), good])
    await registry.cleanup()
    assert program == {}
    assert "the adapter clumsy could not be cleaned up" in caplog.text


async def test_warms_up_those_that_want_it() -> None:
    """Adapters without a `warm_up` are left alone."""
    sluggish = Sluggish(name="sluggish")
    await AdapterRegistry([ScriptedAdapter(), sluggish]).warm_up()
    assert (await sluggish.health_check()).healthy


async def test_tells_what_is_held() -> None:
    """A program is held by an adapter that has prepared it at this revision, and by no other."""
    registry = build()
    program = a_program(revision=2)
    await registry.get("mock").create_program(program)
    held = [
        await registry.holds(name, program.program_id, revision)
        for name, revision in [("mock", 2), ("mock", 1), ("dspy", 2), ("none", 2)]
    ]
    assert held == [True, False, False, False]
