"""The operator's settings: one frozen tree out of `dspatch.toml` and `DSPATCH_*` variables."""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic_settings
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

PREFIX = "DSPATCH_"

CLIENT_KEY = "DSPATCH_API_KEY"
"""The variable of the key that commands show to a server: no setting, though it may stand by."""

# What Kubernetes puts into every pod for a Service whose name begins with `dspatch`.
_KUBERNETES_SERVICE = re.compile(
    r"_SERVICE_HOST$|_SERVICE_PORT(_.+)?$|_PORT$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$"
)


class SettingsError(Exception):
    """The settings cannot be used; the message names each wrong one in a line of its own."""


class Group(BaseModel):
    """A table of the settings file: frozen, and closed to names that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DatabaseSettings(Group):
    """Where the records are kept."""

    url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL address: postgresql://user:password@host:port/name?sslmode=require",
    )
    pool_size: int = Field(default=10, ge=1, le=1_000, description="Connections of one process.")
    pool_timeout_ms: int = Field(
        default=2_000,
        ge=1,
        le=86_400_000,
        description="How long a request waits for a connection before 503.",
    )
    statement_timeout_ms: int = Field(
        default=10_000, ge=1, le=86_400_000, description="The longest that one statement may take."
    )
    hang_timeout_ms: int = Field(
        default=2_000,
        ge=1,
        le=86_400_000,
        description="How much longer its answer is waited for: a database that hangs ends nothing.",
    )


class AuthSettings(Group):
    """Who may call."""

    mode: Literal["keys", "none"] = Field(
        default="keys", description='"keys", or "none": loopback only, unless allow_open is true.'
    )
    allow_open: bool = Field(
        default=False, description="Serve without keys beyond loopback: everybody may call."
    )
    metrics_open: bool = Field(
        default=False, description="Answer /metrics to everybody, with keys as without."
    )


class ServerSettings(Group):
    """The life of a serving process."""

    drain_delay_ms: int = Field(
        default=5_000,
        ge=0,
        le=3_600_000,
        description="How long requests are still taken after SIGTERM, while /readyz says 503.",
    )
    grace_ms: int = Field(
        default=30_000,
        ge=0,
        le=3_600_000,
        description="How long running requests may go on after the socket has closed.",
    )
    allowed_hosts: list[str] = Field(
        default_factory=list,
        description="Names that requests may give as their Host, without ports; none: any.",
    )
    cors_origins: list[str] = Field(
        default_factory=list,
        description="Origins whose pages may call from a browser; none: no CORS headers.",
    )


class ProcessesSettings(Group):
    """How processes know of each other's life."""

    heartbeat_ms: int = Field(
        default=5_000, ge=10, le=3_600_000, description="How often a process says that it lives."
    )
    lease_ms: int = Field(
        default=15_000,
        ge=30,
        le=86_400_000,
        description="After this silence a process is given up, and what it ran ends as failed, or "
        "runs again if it runs in the background; at least three heartbeats.",
    )
    sweep_ms: int = Field(
        default=3_000, ge=10, le=3_600_000, description="How often silent processes are looked for."
    )

    @model_validator(mode="after")
    def _lease_of_three_heartbeats(self) -> "ProcessesSettings":
        if self.lease_ms < 3 * self.heartbeat_ms:
            raise ValueError("lease_ms must be at least three times heartbeat_ms")
        return self


class WorkerSettings(Group):
    """The work that no request waits for: background executions and batches."""

    embedded: bool = Field(
        default=True, description="Work in `dspatch serve` too, not in `dspatch worker` alone."
    )
    concurrency: int = Field(
        default=32,
        ge=1,
        le=10_000,
        description="Background executions that one process runs at once.",
    )
    lanes: int = Field(
        default=8,
        ge=1,
        le=1_000,
        description="Lanes of batches that one process runs at once; a lane has up to 50 items in "
        "flight, and the last of several is kept for batches that nobody works on.",
    )
    probes_port: int | None = Field(
        default=None,
        ge=0,
        le=65_535,
        description="Where `dspatch worker` answers /livez, /readyz, /startupz and /metrics; "
        "without it, it listens on nothing.",
    )
    probes_host: str = Field(
        default="127.0.0.1", description="The address of that port; 0.0.0.0 is reached by others."
    )


class ImportsSettings(Group):
    """What may be imported: an import runs code."""

    packages: list[str] = Field(
        default_factory=list,
        description="Python packages whose signatures, programs and tools may be loaded.",
    )


class KeySource(Group):
    """Where a secret is found: in the settings, in a variable or in a file, one of them."""

    api_key: SecretStr | None = Field(default=None, description="The key itself.")
    api_key_env: str | None = Field(default=None, description="A variable that holds the key.")
    api_key_file: Path | None = Field(default=None, description="A file that holds the key.")

    @model_validator(mode="after")
    def _at_most_one_key(self) -> Self:
        given = [self.api_key, self.api_key_env, self.api_key_file]
        if sum(source is not None for source in given) > 1:
            raise ValueError("give one of api_key, api_key_env and api_key_file")
        return self

    def key(self, environment: Mapping[str, str]) -> str | None:
        """Find the key where the settings say it is; SettingsError where it is not there."""
        if self.api_key is not None:
            return self.api_key.get_secret_value()
        if self.api_key_env is not None:
            if self.api_key_env not in environment:
                raise SettingsError(f"the variable {self.api_key_env} is not set")
            return environment[self.api_key_env]
        if self.api_key_file is not None:
            try:
                return self.api_key_file.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise SettingsError(f"cannot read {self.api_key_file}: {error.strerror}") from None
            except ValueError:
                raise SettingsError(f"{self.api_key_file} is not text in UTF-8") from None
        return None


class LMSettings(KeySource):
    """A language model that programs ask for by name; its key never leaves the settings."""

    model: str = Field(min_length=1, description="provider/model, as DSPy writes it.")
    api_base: str | None = Field(
        default=None, description="Address of an OpenAI-compatible server, ending in /v1."
    )
    max_concurrency: int = Field(
        default=64,
        ge=1,
        le=10_000,
        description="Calls in flight at once. This limit and the next two hold over all live "
        "processes together.",
    )
    requests_per_minute: int | None = Field(
        default=None, ge=1, description="Calls within any minute."
    )
    tokens_per_minute: int | None = Field(
        default=None,
        ge=1,
        description="Tokens within any minute: guessed before a call, counted as the server says "
        "after it.",
    )
    interactive_share: float = Field(
        default=0.2, ge=0, le=1, description="The part of each limit that is kept free of batches."
    )
    max_wait_ms: int = Field(
        default=10_000,
        ge=0,
        le=3_600_000,
        description="How long an interactive call waits for its turn at most.",
    )
    timeout_ms: int = Field(
        default=600_000, ge=1, description="The longest that one call may take, whoever asks."
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="Parameters of every call: temperature, max_tokens …",
    )


class BreakerSettings(Group):
    """When an adapter is left alone, each process by itself; a mock is only where this is given."""

    failures: int = Field(
        default=5, ge=1, le=1_000, description="Failures in a row after which no call passes."
    )
    open_ms: int = Field(
        default=10_000,
        ge=1,
        le=3_600_000,
        description="How long none passes; then one at a time, until one succeeds.",
    )


class AdapterSettings(Group):
    """A named adapter: its kind, and what that kind takes."""

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: str = Field(
        min_length=1,
        description="mock, dspy, worker, remote; of members: failover, round_robin, weighted, "
        "hedged, fastest, consensus; or the kind of an installed package.",
    )
    max_concurrency: int | None = Field(
        default=None, ge=1, le=10_000, description="Calls of this process in flight at once."
    )
    max_wait_ms: int = Field(
        default=10_000,
        ge=0,
        le=3_600_000,
        description="How long an interactive call waits for its turn at most.",
    )
    breaker: BreakerSettings | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What stands beside `kind`; the adapter itself refuses what it does not know."""
        return dict(self.model_extra or {})

    @override
    def __repr_args__(self) -> Iterator[tuple[str, str]]:
        """Show the kind alone: whatever a kind takes may be a secret."""
        yield "kind", self.kind


class RetentionSettings(Group):
    """How long executions and batches are kept after their end, unless their program says so."""

    completed_days: int = Field(
        default=30, ge=0, le=36_500, description="Those that are completed; 0 keeps them for ever."
    )
    failed_days: int = Field(
        default=30, ge=0, le=36_500, description="Those that failed; 0 keeps them for ever."
    )
    cancelled_days: int = Field(
        default=30, ge=0, le=36_500, description="Those that were cancelled; 0 keeps them for ever."
    )
    payload_days: int = Field(
        default=0,
        ge=0,
        le=36_500,
        description="What they were asked and what was said; 0 keeps it as long as the record.",
    )


class LoggingSettings(Group):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severe message that is written."
    )
    format: Literal["json", "text"] = Field(
        default="json", description="One JSON object a line, or text for people."
    )


class TelemetrySettings(Group):
    """What is told of executions."""

    content: bool = Field(
        default=False,
        description="Keep what the LMs were asked and said: the trace of each execution.",
    )


class LimitsSettings(Group):
    """What clients may ask for."""

    json_bytes: int = Field(default=8_388_608, ge=1, description="The longest JSON body.")
    upload_bytes: int = Field(
        default=2_147_483_648,
        ge=1,
        description="The longest JSON Lines body; a line of it may be as long as a JSON body.",
    )
    depth: int = Field(default=64, ge=1, le=64, description="The deepest nesting of a JSON body.")
    header_bytes: int = Field(
        default=32_768, ge=64, description="The longest path and headers together."
    )
    header_seconds: float = Field(
        default=10.0, gt=0, le=3_600, description="How long the headers may take to come."
    )
    body_bytes_per_second: int = Field(
        default=256, ge=1, description="How fast a body has to come at least."
    )
    body_seconds: float = Field(
        default=5.0, gt=0, le=3_600, description="Over so long that is looked at each time."
    )
    connections: int = Field(
        default=8_000, ge=1, description="Connections of one process; one more is answered 503."
    )
    concurrent_requests: int = Field(
        default=1_000,
        ge=1,
        description="Requests that one process runs, beside those that listen to events; one more "
        "is answered 503.",
    )


class WebhooksSettings(Group):
    """How batches call back."""

    secret_env: str = Field(
        default="DSPATCH_WEBHOOK_SECRET",
        min_length=1,
        description="A variable that holds the secret by which deliveries are signed, whsec_ and "
        "base64; without it no callback is taken.",
    )
    allowed_hosts: list[Annotated[str, Field(pattern=r"^[^\s/@]+$")]] = Field(
        default_factory=list,
        description="Receivers that would be refused otherwise, each a host or host:port: by http, "
        "or inside your network.",
    )
    most_per_host: int = Field(
        default=4,
        ge=1,
        description="Deliveries that one process attempts at once at one receiver's host, of 32 in "
        "all: whoever hangs does not hold up the others'.",
    )


class Settings(BaseSettings):
    """Everything an operator may set, by group."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    database: DatabaseSettings = DatabaseSettings()
    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    imports: ImportsSettings = ImportsSettings()
    lms: dict[str, LMSettings] = Field(default_factory=dict, description="Models by name.")
    adapters: dict[str, AdapterSettings] = Field(
        default_factory=dict, description="Adapters by name; mock, dspy and worker exist unnamed."
    )
    processes: ProcessesSettings = ProcessesSettings()
    worker: WorkerSettings = WorkerSettings()
    retention: RetentionSettings = RetentionSettings()
    logging: LoggingSettings = LoggingSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    limits: LimitsSettings = LimitsSettings()
    webhooks: WebhooksSettings = WebhooksSettings()
    crash_at: str | None = Field(
        default=None,
        description="For tests of crashes: `name:n` kills the process by SIGKILL when it reaches "
        "the checkpoint of this name for the n-th time.",
    )

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


def load_settings(config: Path | None = None) -> Settings:
    """Read the file, if any, under the environment; SettingsError names what is wrong."""
    content = _read(config) if config is not None else {}
    # BaseSettings would take some names, such as `_env_file`, for its own arguments.
    unknown = sorted(content.keys() - Settings.model_fields.keys())
    if unknown:
        raise _no_such(unknown)
    try:
        settings = Settings(**content)
    except ValidationError as error:
        raise SettingsError("\n".join(_lines(error))) from None
    except pydantic_settings.SettingsError as error:
        raise SettingsError(str(error)) from None
    unknown = sorted(_unknown_variables(settings))
    if unknown:
        raise _no_such(unknown)
    return settings


def _no_such(names: Iterable[str]) -> SettingsError:
    return SettingsError("\n".join(f"{name}: no such setting" for name in names))


def _read(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {config}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{config} is not TOML: {error}") from None


def _lines(error: ValidationError) -> Iterator[str]:
    """Say each fault without its value, which may be a secret."""
    for fault in error.errors(include_input=False, include_url=False):
        place = ".".join(str(part) for part in fault["loc"])
        yield (
            f"{place}: no such setting"
            if fault["type"] == "extra_forbidden"
            else f"{place}: {fault['msg'].removeprefix('Value error, ')}"
        )


def _unknown_variables(settings: Settings) -> Iterator[str]:
    named_by_settings = [
        settings.webhooks.secret_env,
        *(lm.api_key_env for lm in settings.lms.values()),
        *(adapter.options.get("api_key_env") for adapter in settings.adapters.values()),
    ]
    for name in os.environ:
        group = name.lower().removeprefix(PREFIX.lower()).split("__")[0]
        if (
            name.upper().startswith(PREFIX)  # pydantic reads small letters, too
            and group not in Settings.model_fields
            and name not in (CLIENT_KEY, *named_by_settings)
            and not _KUBERNETES_SERVICE.search(name)
        ):
            yield name
