"""The tables and the states; importing this package fills `Base.metadata`."""

from app.models.api_keys import ApiKey
from app.models.audit import AuditEntry
from app.models.base import Base
from app.models.batches import Batch, BatchLane, BatchUpload
from app.models.execution_counts import ExecutionCount
from app.models.executions import Execution
from app.models.idempotency_keys import IdempotencyKey
from app.models.job_workers import JobWorker
from app.models.pending_executions import PendingExecution
from app.models.processes import Process
from app.models.programs import Program, ProgramRevision
from app.models.signatures import Signature
from app.models.webhook_deliveries import WebhookDelivery

__all__ = [
    "ApiKey",
    "AuditEntry",
    "Base",
    "Batch",
    "BatchLane",
    "BatchUpload",
    "Execution",
    "ExecutionCount",
    "IdempotencyKey",
    "JobWorker",
    "PendingExecution",
    "Process",
    "Program",
    "ProgramRevision",
    "Signature",
    "WebhookDelivery",
]
