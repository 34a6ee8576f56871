"""One unit of work: the stores that see each other's writes and end together."""

from functools import cached_property

from sqlalchemy.ext.asyncio import AsyncSession

from app.stores.api_keys import ApiKeyStore
from app.stores.audit import AuditStore
from app.stores.batch_items import BatchItemStore
from app.stores.batch_lanes import LaneStore
from app.stores.batch_uploads import BatchUploadStore
from app.stores.batches import BatchStore
from app.stores.executions import ExecutionStore
from app.stores.expired_batches import ExpiredBatchStore
from app.stores.expired_deliveries import ExpiredDeliveryStore
from app.stores.expired_executions import ExpiredExecutionStore
from app.stores.expired_payloads import ExpiredPayloadStore
from app.stores.expired_weeks import ExpiredWeekStore
from app.stores.housekeeping import HousekeepingStore
from app.stores.idempotency_keys import IdempotencyKeyStore
from app.stores.idle_batches import IdleBatchStore
from app.stores.jobs import JobStore
from app.stores.partitions import PartitionStore
from app.stores.pending_executions import PendingExecutionStore
from app.stores.processes import ProcessStore
from app.stores.programs import ProgramStore
from app.stores.record_lines import RecordLineStore
from app.stores.retention import RetentionStore
from app.stores.server_connections import ServerConnectionStore
from app.stores.signatures import SignatureStore
from app.stores.statistics import StatisticsStore
from app.stores.waiting_lanes import WaitingLaneStore
from app.stores.webhook_deliveries import WebhookDeliveryStore


class Transaction:
    """One unit of work; its stores see each other's writes and end together."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    @cached_property
    def signatures(self) -> SignatureStore:
        """The rows of `signatures`."""
        return SignatureStore(self._session)

    @cached_property
    def programs(self) -> ProgramStore:
        """The rows of `programs` and `program_revisions`."""
        return ProgramStore(self._session)

    @cached_property
    def executions(self) -> ExecutionStore:
        """The rows of `executions`."""
        return ExecutionStore(self._session)

    @cached_property
    def batches(self) -> BatchStore:
        """The rows of `batches`."""
        return BatchStore(self._session)

    @cached_property
    def batch_items(self) -> BatchItemStore:
        """The rows of `executions` that are items of batches."""
        return BatchItemStore(self._session)

    @cached_property
    def batch_uploads(self) -> BatchUploadStore:
        """The rows of `batch_uploads`."""
        return BatchUploadStore(self._session)

    @cached_property
    def lanes(self) -> LaneStore:
        """The rows of `batch_lanes` in the hands of their holders."""
        return LaneStore(self._session)

    @cached_property
    def waiting_lanes(self) -> WaitingLaneStore:
        """The rows of `batch_lanes` that wait for a process."""
        return WaitingLaneStore(self._session)

    @cached_property
    def webhook_deliveries(self) -> WebhookDeliveryStore:
        """The rows of `webhook_deliveries`."""
        return WebhookDeliveryStore(self._session)

    @cached_property
    def idle_batches(self) -> IdleBatchStore:
        """The rows of `batches` and `batch_lanes` on which nobody works."""
        return IdleBatchStore(self._session)

    @cached_property
    def statistics(self) -> StatisticsStore:
        """Figures over the rows of `executions`."""
        return StatisticsStore(self._session)

    @cached_property
    def api_keys(self) -> ApiKeyStore:
        """The rows of `api_keys`."""
        return ApiKeyStore(self._session)

    @cached_property
    def audit(self) -> AuditStore:
        """The rows of `audit_entries`."""
        return AuditStore(self._session)

    @cached_property
    def idempotency_keys(self) -> IdempotencyKeyStore:
        """The rows of `idempotency_keys`."""
        return IdempotencyKeyStore(self._session)

    @cached_property
    def jobs(self) -> JobStore:
        """The rows of the job engine."""
        return JobStore(self._session)

    @cached_property
    def pending_executions(self) -> PendingExecutionStore:
        """The rows of `pending_executions`."""
        return PendingExecutionStore(self._session)

    @cached_property
    def processes(self) -> ProcessStore:
        """The rows of `processes`."""
        return ProcessStore(self._session)

    @cached_property
    def connections(self) -> ServerConnectionStore:
        """The connections of the server."""
        return ServerConnectionStore(self._session)

    @cached_property
    def retention(self) -> RetentionStore:
        """How long what has ended is kept."""
        return RetentionStore(self._session)

    @cached_property
    def expired_executions(self) -> ExpiredExecutionStore:
        """The rows of `executions` that need not be kept any more."""
        return ExpiredExecutionStore(self._session)

    @cached_property
    def expired_batches(self) -> ExpiredBatchStore:
        """The rows of `batches` that need not be kept any more."""
        return ExpiredBatchStore(self._session)

    @cached_property
    def expired_deliveries(self) -> ExpiredDeliveryStore:
        """The rows of `webhook_deliveries` that need not be kept any more."""
        return ExpiredDeliveryStore(self._session)

    @cached_property
    def record_lines(self) -> RecordLineStore:
        """Rows of `executions` and `batches` as they are archived."""
        return RecordLineStore(self._session)

    @cached_property
    def housekeeping(self) -> HousekeepingStore:
        """What PostgreSQL knows of our tables."""
        return HousekeepingStore(self._session)

    @cached_property
    def expired_payloads(self) -> ExpiredPayloadStore:
        """The payloads of `executions` that may go before their records."""
        return ExpiredPayloadStore(self._session)

    @cached_property
    def expired_weeks(self) -> ExpiredWeekStore:
        """The partitions that need not be kept any more."""
        return ExpiredWeekStore(self._session)

    @cached_property
    def partitions(self) -> PartitionStore:
        """The partitions of `executions`."""
        return PartitionStore(self._session)
