"""A batch as clients see it, in answers, events and webhooks alike."""

from typing import Any

from app.actions.batch_processing.reporting import BatchReport
from app.adapters.usage import Usage
from app.stores.batch_items import SHARES


def document_of(report: BatchReport) -> dict[str, Any]:
    """Show a batch without its items, whatever it is that has asked."""
    read, batch = report.read, report.read.batch
    usage = {name: getattr(read.tally, name) for name in Usage.__dataclass_fields__}
    return {
        "batch_id": batch.id,
        "batch_execution_id": batch.id,
        "program_id": batch.program_id,
        "program_revision": batch.program_revision,
        "status": batch.status,
        "retry_of": batch.retry_of,
        "batch_options": batch.batch_options,
        "total_items": batch.total_items,
        "pending_items": read.pending_items,
        "running_items": read.running_items,
        "successful_items": read.successful_items,
        "failed_items": read.failed_items,
        "cancelled_items": read.cancelled_items,
        "success_rate": report.success_rate,
        "progress": vars(report.progress),
        "total_duration_ms": report.duration_ms,
        "average_item_duration_ms": report.average_item_duration_ms,
        "percentiles": batch.percentiles or dict.fromkeys(SHARES),
        "usage": usage,
        "retries": read.tally.retries,
        "summary": _summary(report),
        "successful_outputs": None,
        "failures": None,
        "error": batch.error,
        "metadata": batch.metadata_,
        "created_at": batch.created_at,
        "started_at": batch.started_at,
        "finished_at": batch.finished_at,
    }


def _summary(report: BatchReport) -> dict[str, Any]:
    duration_ms = report.duration_ms
    return {
        "completed": report.read.successful_items,
        "failed": report.read.failed_items,
        "total": report.read.batch.total_items,
        "duration_seconds": None if duration_ms is None else round(duration_ms / 1_000, 6),
    }
