import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from app.telemetry.metrics import MOST_PROGRAMS, Metrics
from tests.support.metrics import metrics_at_work

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

LABELS = {
    "dspatch_executions": {"program", "adapter", "outcome"},
    "dspatch_execution_duration_seconds": {"program", "outcome"},
    "dspatch_attempts": {"adapter", "error_type"},
    "dspatch_lm_calls": {"lm", "outcome"},
    "dspatch_lm_tokens": {"lm", "direction"},
    "dspatch_pool_connections": {"state"},
    "dspatch_breaker_state": {"adapter"},
    "dspatch_pending": {"queue"},
    "dspatch_batch_items": {"outcome"},
    "dspatch_batches": {"status"},
    "dspatch_event_loop_lag_seconds": set(),
    "dspatch_http_requests": {"route", "method", "status"},
    "dspatch_http_request_duration_seconds": {"route"},
}
"""The contract's families and their labels."""


def _samples(metrics: Metrics) -> list[Sample]:
    page, _ = metrics.page("")
    families = text_string_to_metric_families(page.decode())
    return [sample for family in families for sample in family.samples]


def _value(metrics: Metrics, name: str, **labels: str) -> float:
    found = [one for one in _samples(metrics) if (one.name, one.labels) == (name, labels)]
    return found[0].value


def test_names_and_labels_are_those_of_the_contract() -> None:
    """No family more or less, and no series beside them."""
    page, _ = metrics_at_work().page("")
    found = {
        family.name: set().union(*(sample.labels for sample in family.samples)) - {"le"}
        for family in text_string_to_metric_families(page.decode())
    }
    assert found == LABELS


def test_an_execution_is_counted_with_its_attempts() -> None:
    """The execution once, each attempt by its error, the duration in its bucket."""
    metrics = metrics_at_work()
    labels = {"program": "answerer", "outcome": "success"}
    name = "dspatch_execution_duration_seconds"
    assert _value(metrics, "dspatch_executions_total", adapter="dspy", **labels) == 1
    assert _value(metrics, "dspatch_attempts_total", adapter="dspy", error_type="none") == 1
    assert _value(metrics, "dspatch_attempts_total", adapter="dspy", error_type="timeout") == 1
    assert _value(metrics, f"{name}_sum", **labels) == 2.0
    assert _value(metrics, f"{name}_bucket", le="1.0", **labels) == 0
    assert _value(metrics, f"{name}_bucket", le="2.5", **labels) == 1


def test_calls_of_language_models_are_counted_with_their_tokens() -> None:
    """By the LM's name, as the operator gave it."""
    metrics = metrics_at_work()
    metrics.lm_called("main", "timeout", 0, 0)
    assert _value(metrics, "dspatch_lm_calls_total", lm="main", outcome="success") == 1
    assert _value(metrics, "dspatch_lm_calls_total", lm="main", outcome="timeout") == 1
    assert _value(metrics, "dspatch_lm_tokens_total", lm="main", direction="prompt") == 11
    assert _value(metrics, "dspatch_lm_tokens_total", lm="main", direction="completion") == 7


def test_items_that_never_ran_are_counted_as_executions_too() -> None:
    """As many as there were, by their outcome."""
    metrics = Metrics()
    metrics.item_ended("success")
    metrics.items_ended_unrun("answerer", "mock", "cancelled", 7)
    labels = {"program": "answerer", "adapter": "mock", "outcome": "cancelled"}
    assert _value(metrics, "dspatch_executions_total", **labels) == 7
    assert _value(metrics, "dspatch_batch_items_total", outcome="cancelled") == 7
    assert _value(metrics, "dspatch_batch_items_total", outcome="success") == 1


def test_what_is_watched_is_read_at_each_scrape() -> None:
    """The pool, the event loop, the breakers and what waits, as they are then."""
    pool, lag, breakers, pending = {"checked_out": 0}, [0.1], {"dspy": 0}, dict[str, int]()
    metrics = Metrics()
    metrics.watch(lambda: pool, lambda: lag[0])
    metrics.watch_breakers(lambda: breakers)
    metrics.watch_pending(lambda: pending)
    metrics.watch_batches(lambda: {"paused": 2})
    pool["checked_out"], lag[0], breakers["dspy"] = 3, 0.5, 2
    pending["executions"] = 7
    assert _value(metrics, "dspatch_breaker_state", adapter="dspy") == 2
    assert _value(metrics, "dspatch_pending", queue="executions") == 7
    assert _value(metrics, "dspatch_batches", status="paused") == 2
    assert _value(metrics, "dspatch_pool_connections", state="checked_out") == 3
    assert _value(metrics, "dspatch_event_loop_lag_seconds") == 0.5


def test_the_names_of_programs_are_bounded() -> None:
    """The first two hundred are told apart; the rest are counted together, and none is lost."""
    metrics = Metrics()
    for number in range(MOST_PROGRAMS + 3):
        for _ in range(2):
            metrics.execution_ended(f"p{number}", "mock", "success", 0.1, [])
    counted = [one for one in _samples(metrics) if one.name == "dspatch_executions_total"]
    assert len(counted) == MOST_PROGRAMS + 1
    assert {one.labels["program"]: one.value for one in counted}["other"] == 6
    assert sum(one.value for one in counted) == 2 * (MOST_PROGRAMS + 3)


def test_invented_methods_are_counted_together() -> None:
    """A client cannot make a series for each word that it thinks of."""
    metrics = Metrics()
    for method in ("GET", "BREW", "x" * 1000):
        metrics.http_answered("unmatched", method, 404, 0.0)
    counted = [one for one in _samples(metrics) if one.name == "dspatch_http_requests_total"]
    assert {one.labels["method"]: one.value for one in counted} == {"GET": 1, "other": 2}


def test_two_sets_have_nothing_in_common() -> None:
    """Each process, and each test, counts for itself."""
    metrics_at_work()
    assert [one for one in _samples(Metrics()) if one.value] == []


def test_openmetrics_is_written_where_it_is_asked_for() -> None:
    """Prometheus' own text otherwise."""
    metrics = metrics_at_work()
    page, media_type = metrics.page(OPENMETRICS)
    assert media_type.startswith("application/openmetrics-text; version=1.0.0")
    assert page.endswith(b"# EOF\n")
    page, media_type = metrics.page("*/*")
    assert media_type == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# EOF" not in page


def test_the_page_of_metrics_tells_each_of_them() -> None:
    """docs/howto/metrics-and-logs.md has a line for every family, with its labels."""
    page = (Path(__file__).parents[2] / "docs" / "howto" / "metrics-and-logs.md").read_text()
    rows = re.findall(r"^\| `(dspatch_\w+)` \|([^|]*)\|", page, re.MULTILINE)
    told = {
        name.removesuffix("_total"): set(re.findall(r"`(\w+)`", labels)) for name, labels in rows
    }
    assert told == LABELS
