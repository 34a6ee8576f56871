from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from app.settings import (
    CLIENT_KEY,
    AdapterSettings,
    DatabaseSettings,
    LMSettings,
    Settings,
    SettingsError,
    load_settings,
)

SECRET = "s3cret"  # noqa: S105 - what must not be seen

Configure = Callable[[str], Path]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Give a function that writes the settings file."""

    def write(text: str) -> Path:
        path = tmp_path / "dspatch.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(config: Path | None = None) -> str:
    """Give the words with which settings are refused; nothing else is chained to them."""
    with pytest.raises(SettingsError) as refused:
        load_settings(config)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    assert SECRET not in str(refused.value)
    return str(refused.value)


def test_without_file_and_variables_the_defaults_hold() -> None:
    """Every setting but those that name something has a default."""
    settings = load_settings()
    assert settings == Settings()
    assert settings.database.url is None
    assert settings.auth.mode == "keys"
    assert settings.lms == {}
    assert settings.logging.format == "json"


def test_the_file_is_read(configure: Configure) -> None:
    """Each table of the file is a group of the settings."""
    settings = load_settings(
        configure(
            """
            [database]
            url = "postgresql://user@host/name"
            pool_size = 3
            [auth]
            mode = "none"
            [lms.main]
            model = "openai/small"
            params = {temperature = 0.5, stop = ["a"]}
            [adapters.slow]
            kind = "mock"
            latency_ms = 5
            [logging]
            level = "debug"
            """
        )
    )
    assert settings.database.url == SecretStr("postgresql://user@host/name")
    assert settings.database.pool_size == 3
    assert settings.auth.mode == "none"
    assert settings.lms["main"].params == {"temperature": 0.5, "stop": ["a"]}
    assert settings.adapters["slow"].kind == "mock"
    assert settings.adapters["slow"].options == {"latency_ms": 5}
    assert settings.logging.level == "debug"
    assert settings.limits.depth == 64


def test_variables_win_over_the_file(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable replaces its own setting; its neighbours stay as the file says."""
    monkeypatch.setenv("DSPATCH_DATABASE__POOL_SIZE", "20")
    monkeypatch.setenv("DSPATCH_LMS__MAIN__MODEL", "openai/big")
    settings = load_settings(
        configure(
            """
            [database]
            pool_size = 3
            pool_timeout_ms = 7
            [lms.main]
            model = "openai/small"
            api_base = "http://127.0.0.1/v1"
            """
        )
    )
    assert settings.database.pool_size == 20
    assert settings.database.pool_timeout_ms == 7
    assert settings.lms["main"].model == "openai/big"
    assert settings.lms["main"].api_base == "http://127.0.0.1/v1"


def test_named_things_can_be_made_of_variables_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model and an adapter need no file; composed values are JSON, others stay as they are."""
    monkeypatch.setenv("DSPATCH_LMS__MAIN__MODEL", "openai/small")
    monkeypatch.setenv("DSPATCH_LMS__MAIN__API_KEY", "12345")
    monkeypatch.setenv("DSPATCH_LMS__MAIN__PARAMS", '{"temperature": 0.5}')
    monkeypatch.setenv("DSPATCH_ADAPTERS__SLOW", '{"kind": "mock", "latency_ms": 5}')
    monkeypatch.setenv("DSPATCH_AUTH", '{"mode": "none"}')
    settings = load_settings()
    assert settings.lms["main"].key({}) == "12345"
    assert settings.lms["main"].params == {"temperature": 0.5}
    assert settings.adapters["slow"].options == {"latency_ms": 5}
    assert settings.auth.mode == "none"


def test_settings_do_not_change(configure: Configure) -> None:
    """The tree is frozen at every level."""
    settings = load_settings(configure('[lms.main]\nmodel = "openai/small"'))
    with pytest.raises(ValidationError, match="frozen"):
        settings.database = DatabaseSettings()  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        settings.lms["main"].model = "openai/big"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("nonsense = 1", "nonsense: no such setting"),
        ("[nonsense]\na = 1\n[other]\nb = 1", "nonsense: no such setting\nother: no such setting"),
        ("[database]\npool = 1", "database.pool: no such setting"),
        ('[lms.main]\nmodel = "a"\nkey = "s3cret"', "lms.main.key: no such setting"),
        ('_env_file = "s3cret"', "_env_file: no such setting"),
        ("_cli_parse_args = true", "_cli_parse_args: no such setting"),
        ("__pydantic_self__ = 1", "__pydantic_self__: no such setting"),
        ('[Database]\nurl = "s3cret"', "Database: no such setting"),
        ('model_config = "s3cret"', "model_config: no such setting"),
    ],
)
def test_a_setting_that_does_not_exist_is_refused_by_name(
    configure: Configure, text: str, refused: str
) -> None:
    """The file cannot hold what nobody reads, and every such place is named at once."""
    assert refusal(configure(text)) == refused


@pytest.mark.parametrize(
    ("variable", "named"),
    [
        ("DSPATCH_NONSENSE", "DSPATCH_NONSENSE"),
        ("DSPATCH_NONSENSE__A", "DSPATCH_NONSENSE__A"),
        ("DSPATCH_LOGGING_LEVEL", "DSPATCH_LOGGING_LEVEL"),
        ("dspatch_nonsense", "dspatch_nonsense"),
        ("DSPATCH_DATABASE__POOL", "database.pool"),
        ("DSPATCH_DATABASE__", "database."),
        ("DSPATCH_", "DSPATCH_"),
    ],
)
def test_a_variable_that_does_not_exist_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, named: str
) -> None:
    """A misspelt variable stops the start instead of being ignored."""
    monkeypatch.setenv(variable, SECRET)
    assert refusal() == f"{named}: no such setting"


def test_all_unknown_variables_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each unknown variable has a line of its own, in order."""
    monkeypatch.setenv("DSPATCH_B", "1")
    monkeypatch.setenv("DSPATCH_A", "1")
    assert refusal() == "DSPATCH_A: no such setting\nDSPATCH_B: no such setting"


@pytest.mark.parametrize(
    "variable",
    [
        "DSPATCH_SERVICE_HOST",
        "DSPATCH_SERVICE_PORT",
        "DSPATCH_SERVICE_PORT_HTTP",
        "DSPATCH_PORT",
        "DSPATCH_PORT_8000_TCP",
        "DSPATCH_PORT_8000_TCP_PROTO",
        "DSPATCH_PORT_8000_TCP_PORT",
        "DSPATCH_PORT_8000_TCP_ADDR",
        "DSPATCH_API_SERVICE_HOST",
        "DSPATCH_API_PORT_53_UDP_ADDR",
        CLIENT_KEY,
        "OTHER_VARIABLE",
    ],
)
def test_what_is_meant_for_others_is_ignored(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Variables that describe a Service named after us, and a command's key, are no settings."""
    monkeypatch.setenv(variable, "10.0.0.1")
    assert load_settings() == Settings()


def test_a_variable_that_the_settings_name_is_no_setting(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys may stand in variables with our prefix, where the settings say that they do."""
    monkeypatch.setenv("DSPATCH_MAIN_KEY", SECRET)
    monkeypatch.setenv("DSPATCH_EU_KEY", SECRET)
    config = configure(
        """
        [lms.main]
        model = "openai/small"
        api_key_env = "DSPATCH_MAIN_KEY"
        [adapters.eu]
        kind = "remote"
        api_key_env = "DSPATCH_EU_KEY"
        [adapters.strange]
        kind = "remote"
        api_key_env = ["DSPATCH_EU_KEY"]
        """
    )
    assert load_settings(config).lms["main"].api_key_env == "DSPATCH_MAIN_KEY"
    monkeypatch.setenv("DSPATCH_OTHER_KEY", SECRET)
    assert refusal(config) == "DSPATCH_OTHER_KEY: no such setting"


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("database = 's3cret'", "database: Input should be a valid dictionary or instance of"),
        ("[database]\npool_size = 0", "database.pool_size: Input should be greater than or"),
        ("[database]\npool_size = 's3cret'", "database.pool_size: Input should be a valid integer"),
        ("[database]\nstatement_timeout_ms = 1e12", "database.statement_timeout_ms: Input should"),
        ("[auth]\nmode = 's3cret'", "auth.mode: Input should be 'keys' or 'none'"),
        ("[lms.main]\napi_key = 's3cret'", "lms.main.model: Field required"),
        ("[lms]\nmain = 's3cret'", "lms.main: Input should be a valid dictionary or instance of"),
        ("[adapters.a]\napi_key = 's3cret'", "adapters.a.kind: Field required"),
        (
            "[processes]\nlease_ms = 9000",
            "processes: lease_ms must be at least three times heartbeat_ms",
        ),
        ("[limits]\ndepth = 65", "limits.depth: Input should be less than or equal to 64"),
    ],
)
def test_a_wrong_value_is_refused_by_place_and_not_repeated(
    configure: Configure, text: str, refused: str
) -> None:
    """A refusal says where and what is expected; the value may be a secret and is not shown."""
    assert refusal(configure(text)).startswith(refused)


def test_all_wrong_values_are_named_at_once(configure: Configure) -> None:
    """Each fault has a line of its own."""
    faults = refusal(configure("[database]\npool_size = 0\npool_timeout_ms = 0\na = 1"))
    assert [fault.split(":")[0] for fault in faults.splitlines()] == [
        "database.pool_size",
        "database.pool_timeout_ms",
        "database.a",
    ]


@pytest.mark.parametrize("variable", ["DSPATCH_LMS", "DSPATCH_LMS__MAIN__PARAMS"])
def test_a_composed_variable_that_is_no_json_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """The refusal names the group, without its value."""
    monkeypatch.setenv("DSPATCH_LMS__MAIN__MODEL", "openai/small")
    monkeypatch.setenv(variable, f'{{"a": {SECRET}')
    assert '"lms"' in refusal()


def test_a_file_that_is_missing_or_no_toml_is_refused(tmp_path: Path) -> None:
    """The refusal names the file and what is wrong with it."""
    path = tmp_path / "dspatch.toml"
    assert refusal(path) == f"cannot read {path}: No such file or directory"
    assert refusal(tmp_path) == f"cannot read {tmp_path}: Is a directory"
    path.write_text("[database\n")
    assert refusal(path).startswith(f"{path} is not TOML: ")
    path.write_bytes(b'a = "\xff"')
    assert refusal(path).startswith(f"{path} is not TOML: ")


def test_no_secret_is_shown(configure: Configure) -> None:
    """Neither the address with its password, nor a key, nor what adapters take is in a repr."""
    settings = load_settings(
        configure(
            f"""
            [database]
            url = "postgresql://user:{SECRET}@host/name"
            [lms.main]
            model = "openai/small"
            api_key = "{SECRET}"
            params = {{extra_headers = {{Authorization = "{SECRET}"}}}}
            [adapters.eu]
            kind = "remote"
            api_key = "{SECRET}"
            """
        )
    )
    assert SECRET not in f"{settings!r} {settings}"
    assert "AdapterSettings(kind='remote')" in repr(settings)
    assert settings.adapters["eu"].options == {"api_key": SECRET}


def test_an_adapter_may_take_nothing() -> None:
    """An adapter that is only a kind has no options."""
    assert AdapterSettings(kind="mock").options == {}


def test_a_key_is_found_where_the_settings_say(tmp_path: Path) -> None:
    """The key itself, a variable or a file; none of them is no key."""
    file = tmp_path / "key"
    file.write_text(f"  {SECRET}\n")
    by_value = LMSettings(model="a", api_key=SecretStr(SECRET))
    by_variable = LMSettings(model="a", api_key_env="THE_KEY")
    by_file = LMSettings(model="a", api_key_file=file)
    assert by_value.key({}) == SECRET
    assert by_variable.key({"THE_KEY": SECRET}) == SECRET
    assert by_file.key({}) == SECRET
    assert LMSettings(model="a").key({"THE_KEY": SECRET}) is None


def test_a_key_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The refusal names the variable or the file that lacks it."""
    with pytest.raises(SettingsError, match="the variable THE_KEY is not set"):
        LMSettings(model="a", api_key_env="THE_KEY").key({})
    file = tmp_path / "key"
    with pytest.raises(SettingsError, match=f"cannot read {file}: No such file or directory"):
        LMSettings(model="a", api_key_file=file).key({})
    file.write_bytes(b"\xff" + SECRET.encode())
    with pytest.raises(SettingsError, match=f"{file} is not text in UTF-8") as refused:
        LMSettings(model="a", api_key_file=file).key({})
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    "given",
    [
        'api_key = "s3cret"\napi_key_env = "A"',
        'api_key = "s3cret"\napi_key_file = "a"',
        'api_key_env = "A"\napi_key_file = "a"',
    ],
)
def test_a_key_stands_in_one_place(configure: Configure, given: str) -> None:
    """Two sources of one key are refused, whichever they are."""
    refused = refusal(configure(f'[lms.main]\nmodel = "a"\n{given}'))
    assert refused == "lms.main: give one of api_key, api_key_env and api_key_file"
