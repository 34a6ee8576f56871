"""The report on health, check by check, as OpenAPI describes it."""

from typing import Annotated, TypeVar
from uuid import UUID

from pydantic import Field

from app.actions.health_monitoring.check import CheckLevel, CheckStatus
from app.actions.health_monitoring.system_status import Level
from app.api.views import Instant, View

T = TypeVar("T")

Maybe = Annotated[T | None, Field(exclude_if=lambda value: value is None)]
"""A member that is left out where there is nothing to say."""


class CheckView(View):
    """What every check says; `error` says what is wrong."""

    status: CheckStatus
    duration_ms: float
    timestamp: Instant = Field(description="When it began.")
    error: Maybe[str] = None


class ApplicationView(View):
    """Where the process stands in its life."""

    status: str = Field(description="`running` or `draining`.")


class SupervisionView(View):
    """The supervised tasks of the process; one that failed waits to start again."""

    total_children: int
    running_children: int
    all_running: bool


class MemoryView(View):
    """Memory in MB of 1 048 576 bytes."""

    total_mb: float = Field(
        description="Of the process and its children; of all in the container, if that is more."
    )
    process_mb: float = Field(description="Of the process alone.")
    limit_mb: float | None = Field(description="The container's; null where it has none.")
    status: Level = Field(
        description="`medium` over 60 %, `high` over 80 % of the limit; without one over 500 MB "
        "and 1 024 MB."
    )


class ProcessCountView(View):
    """What else the machine limits."""

    process_count: int = Field(
        description="Processes and threads, of this process and its children; of all in the "
        "container, if that is more."
    )
    process_limit: int | None
    usage_percent: float
    status: Level = Field(
        description="`medium` over 60 %, `high` over 80 % of the limit, of descriptors as well."
    )
    tasks: int = Field(description="Of the event loop.")
    threads: int = Field(description="Of this process.")
    file_descriptors: int
    file_descriptor_limit: int | None


class SystemComponents(View):
    """The parts of the process."""

    application: ApplicationView
    supervision_tree: SupervisionView
    memory_usage: MemoryView
    process_count: ProcessCountView


class SystemStatus(View):
    """This process."""

    components: SystemComponents
    failed_components: list[str]
    uptime_ms: float


class SystemStatusCheck(CheckView):
    """`error` where a task is down, `warning` where something is `high`."""

    result: SystemStatus | None


class AdapterPing(View):
    """What an adapter answered."""

    status: CheckStatus = Field(
        description="`warning` where it answers and its breaker is not closed."
    )
    latency_ms: float
    error: Maybe[str] = None


class RegisteredAdapters(View):
    """Every registered adapter."""

    available_adapters: list[str]
    adapter_statuses: dict[str, AdapterPing]
    healthy_adapters: list[str]
    healthy_adapter_count: int


class AdapterStatusCheck(CheckView):
    """`error` where no adapter is healthy, `warning` where some are not."""

    result: RegisteredAdapters | None


class SignatureCount(View):
    """Signatures, all versions."""

    count: int


class ProgramCount(View):
    """Programs, archived ones too."""

    total_count: int
    ready_count: int


class ExecutionCount(View):
    """Executions, items of batches too."""

    recent_count: int = Field(description="Made within the last hour.")
    pending: int
    running: int


class ResourceChecks(View):
    """What could be counted."""

    signatures: Maybe[SignatureCount] = None
    programs: Maybe[ProgramCount] = None
    executions: Maybe[ExecutionCount] = None


class ResourceStatus(View):
    """What there is, counted by the database."""

    resource_checks: ResourceChecks
    failed_resources: list[str]


class ResourceStatusCheck(CheckView):
    """`error` where something could not be counted."""

    result: ResourceStatus | None


class PoolView(View):
    """The connections that requests share."""

    size: int
    checked_out: int
    waiting: int = Field(description="Those who wait for one.")


class DatabaseStatus(View):
    """A round trip to the database."""

    status: str = Field(description="`connected` or `unavailable`.")
    latency_ms: float | None
    pool: PoolView
    server_version: str | None


class DatabaseConnectivityCheck(CheckView):
    """`error` where the database does not answer."""

    result: DatabaseStatus | None


class PerformanceMetrics(View):
    """The last 100 executions that have ended; rates and mean are null where there is none."""

    total_executions: int
    completed_executions: int
    failed_executions: int
    avg_duration_ms: float | None
    success_rate: float | None
    error_rate: float | None
    execution_rate_per_hour: float = Field(description="Ended within the last hour.")


class PerformanceMetricsCheck(CheckView):
    """`error` where it could not be reckoned."""

    result: PerformanceMetrics | None


class Garbage(View):
    """Python's collector of cycles, since the start."""

    collections: list[int] = Field(description="By generation.")
    collected: int
    uncollectable: int
    objects_waiting: list[int] = Field(description="By generation, for its next collection.")


class ResourceUtilization(View):
    """What this process uses."""

    cpu_percent: float = Field(description="Of one processor, over the last 15 s.")
    event_loop_lag_ms: float = Field(description="The worst of the last 15 s.")
    pool_use: float = Field(description="The part of the pool that is in use, 0 to 1.")
    gc: Garbage
    threads: int = Field(description="Of the interpreter.")


class ResourceUtilizationCheck(CheckView):
    """`error` where it could not be read."""

    result: ResourceUtilization | None


class ErrorPattern(View):
    """Errors that differ in ids, numbers, addresses and quoted parts alone."""

    pattern: str = Field(examples=["timeout: No answer within <number> ms."])
    count: int
    example: str = Field(description="The newest of them.")


class RecentError(View):
    """An execution that failed."""

    timestamp: Instant = Field(description="When it ended.")
    error: str
    program_id: UUID
    execution_id: UUID


class ErrorRates(View):
    """The last 500 executions that have ended; the rate is null where there is none."""

    total_errors: int
    error_rate: float | None
    error_patterns: list[ErrorPattern] = Field(description="The ten most frequent.")
    recent_errors: list[RecentError] = Field(description="The five newest.")


class ErrorRatesCheck(CheckView):
    """`error` where it could not be reckoned."""

    result: ErrorRates | None


class CurrentLoad(View):
    """What this process carries; shares are 0 to 1."""

    process_utilization: float = Field(description="Of processes and threads, or descriptors.")
    memory_usage_gb: float = Field(description="In GB of 1 073 741 824 bytes.")
    overall_load: float = Field(
        description="The largest share: of processes, memory, one processor, or executions."
    )


class ScalingMetrics(View):
    """What it could carry."""

    max_concurrent_executions: int = Field(
        description="Those that run, and as many as fit into the free memory by what one holds."
    )
    recommended_scaling_threshold: float
    current_utilization: float


class CapacityAnalysis(View):
    """How much more would go."""

    current_load: CurrentLoad
    capacity_recommendations: list[str]
    scaling_metrics: ScalingMetrics


class CapacityAnalysisCheck(CheckView):
    """`error` where it could not be reckoned."""

    result: CapacityAnalysis | None


class AdapterProbe(View):
    """How an adapter ran a program, just now and on its model."""

    status: CheckStatus = Field(
        description="`warning` where its model answered something else than was asked for."
    )
    latency_ms: float
    error: Maybe[str] = None


class AdapterProbeCheck(CheckView):
    """`error` where no adapter ran it, `warning` where some did not. Calls each adapter's model."""

    result: dict[str, AdapterProbe] | None


class HealthChecks(View):
    """The checks of the level."""

    system_status: SystemStatusCheck
    adapter_status: AdapterStatusCheck
    resource_status: ResourceStatusCheck
    database_connectivity: DatabaseConnectivityCheck
    performance_metrics: Maybe[PerformanceMetricsCheck] = None
    resource_utilization: Maybe[ResourceUtilizationCheck] = None
    error_rates: Maybe[ErrorRatesCheck] = None
    capacity_analysis: Maybe[CapacityAnalysisCheck] = None
    adapter_probe: Maybe[AdapterProbeCheck] = None


class HealthSummary(View):
    """The checks in short."""

    total_checks: int
    healthy_checks: int
    warning_checks: int
    error_checks: int
    health_percentage: float = Field(ge=0, le=100)


class MetricSample(View):
    """One series of a metric."""

    labels: dict[str, str]
    value: float


class HealthReport(View):
    """What the checks of a level found."""

    timestamp: Instant
    check_level: CheckLevel
    overall_status: CheckStatus = Field(description="The worst of all checks.")
    checks: HealthChecks
    summary: HealthSummary
    detailed_metrics: Maybe[dict[str, list[MetricSample]]] = Field(
        default=None, description="The metrics of this process by name, without buckets."
    )
