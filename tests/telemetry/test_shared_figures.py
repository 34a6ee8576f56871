"""Figures of several processes, which one process plays here one after the other."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import values
from prometheus_client.parser import text_string_to_metric_families

from app.telemetry.metrics import Metrics
from app.telemetry.shared_figures import SharedFigures
from tests.support.metrics import metrics_at_work

Begin = Callable[[int], Metrics]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Let a process begin as one of the servers, and give its metrics."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "restored afterwards")
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)

    def begin_as(server: int) -> Metrics:
        figures = SharedFigures(tmp_path, server)
        figures.count_here()
        metrics = metrics_at_work(Metrics(figures))
        metrics.read_gauges()
        return metrics

    yield begin_as
    values.close_all_multiprocess_files()  # type: ignore[no-untyped-call]


def _told(metrics: Metrics) -> dict[str, float]:
    page, _ = metrics.page("")
    families = text_string_to_metric_families(page.decode())
    return {
        sample.name + str(sorted(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_whoever_is_scraped_tells_the_figures_of_all(begin: Begin) -> None:
    """Counts and pools are added up, of lags and breakers the worst is told."""
    first, second = begin(0), begin(1)
    assert _told(first) == _told(second)
    told = _told(first)
    assert told["dspatch_http_requests_total['/v1/programs', '200', 'GET']"] == 2
    assert told["dspatch_execution_duration_seconds_sum['answerer', 'success']"] == 4
    assert told["dspatch_execution_duration_seconds_bucket['+Inf', 'answerer', 'success']"] == 2
    assert told["dspatch_pool_connections['checked_out']"] == 2
    assert told["dspatch_event_loop_lag_seconds[]"] == 0.25
    assert told["dspatch_breaker_state['dspy']"] == 2
    assert told["dspatch_pending['executions']"] == 3
    assert told["dspatch_batches['running']"] == 1
    samples = first.samples()["dspatch_pool_connections"]
    assert {"labels": {"state": "idle"}, "value": 4} in samples


def test_a_count_goes_on_where_a_dead_process_has_stopped(begin: Begin, tmp_path: Path) -> None:
    """And what it said of itself is told no more: a count that fell would be read as a restart."""
    begin(0), begin(1)
    SharedFigures(tmp_path, 1).forget_gauges()
    alone = _told(begin(0))
    assert alone["dspatch_pool_connections['checked_out']"] == 1
    told = _told(begin(1))
    assert told["dspatch_http_requests_total['/v1/programs', '200', 'GET']"] == 4
    assert told["dspatch_pool_connections['checked_out']"] == 2
    assert len(list(tmp_path.iterdir())) == 2 * 4


def test_one_process_alone_and_several_tell_the_same_series(begin: Begin) -> None:
    """With the same labels."""
    alone = _told(metrics_at_work())
    assert set(_told(begin(0))) == set(alone)
