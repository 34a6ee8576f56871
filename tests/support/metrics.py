"""Metrics of which every family has counted something."""

from app.telemetry.metrics import Metrics

DONE = {"adapter": "dspy", "error": None}
LATE = {"adapter": "dspy", "error": {"type": "timeout"}}


def metrics_at_work(metrics: Metrics | None = None) -> Metrics:
    """Give metrics of a process that has done a little of everything."""
    metrics = metrics or Metrics()
    metrics.watch(lambda: {"checked_out": 1, "idle": 2, "unopened": 7}, lambda: 0.25)
    metrics.watch_breakers(lambda: {"dspy": 2})
    metrics.watch_pending(lambda: {"executions": 3})
    metrics.watch_batches(lambda: {"running": 1})
    metrics.item_ended("success")
    metrics.execution_ended("answerer", "dspy", "success", 2.0, [LATE, DONE])
    metrics.lm_called("main", "success", 11, 7)
    metrics.http_answered("/v1/programs", "GET", 200, 0.004)
    return metrics
