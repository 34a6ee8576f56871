"""What is counted, under the names of the contract; a set for each process, none at import.

A page tells the figures of all processes that serve together; where there is one alone, its own.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from app.telemetry.shared_figures import SharedFigures

MOST_PROGRAMS = 200
"""Names of programs that are told apart; clients give them, and each costs a series."""

OTHER = "other"
NO_ERROR = "none"

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})

EXECUTION_BUCKETS_S = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 600, 3_600)
REQUEST_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

Samples = Mapping[str, Sequence[Mapping[str, Any]]]
"""By the names of metrics: `{labels, value}` of each series."""


class Metrics:
    """Counts of one process; each method is one event, and costs some microseconds."""

    def __init__(self, shared: SharedFigures | None = None) -> None:
        self._own = CollectorRegistry()
        self._of_database = CollectorRegistry()
        self._pages = _Pages(shared.of_all() if shared else self._own, self._of_database)
        self._gauges: list[Callable[[], None]] = []
        self._programs: set[str] = set()
        self.is_shared = shared is not None
        self._executions = self._counter(
            "dspatch_executions_total",
            "Executions that ended.",
            ("program", "adapter", "outcome"),
        )
        self._execution_s = self._histogram(
            "dspatch_execution_duration_seconds",
            "From the first attempt to the last one's end, waits included.",
            ("program", "outcome"),
            EXECUTION_BUCKETS_S,
        )
        self._attempts = self._counter(
            "dspatch_attempts_total",
            f"Calls of adapters within executions; error_type is {NO_ERROR} where one succeeded.",
            ("adapter", "error_type"),
        )
        self._lm_calls = self._counter(
            "dspatch_lm_calls_total",
            "Calls of language models; outcome is success or the type of the error.",
            ("lm", "outcome"),
        )
        self._lm_tokens = self._counter(
            "dspatch_lm_tokens_total",
            "Tokens as the model servers count them; direction is prompt or completion.",
            ("lm", "direction"),
        )
        self._batch_items = self._counter(
            "dspatch_batch_items_total", "Items of batches that ended.", ("outcome",)
        )
        self._requests = self._counter(
            "dspatch_http_requests_total",
            "Requests that were answered; route is the path's template.",
            ("route", "method", "status"),
        )
        self._request_s = self._histogram(
            "dspatch_http_request_duration_seconds",
            "From a request's headers to the end of its answer.",
            ("route",),
            REQUEST_BUCKETS_S,
        )

    def watch(self, pool: Callable[[], Mapping[str, int]], lag_s: Callable[[], float]) -> None:
        """Read the database's pool and the event loop's lag whenever somebody scrapes."""
        connections = self._gauge(
            "dspatch_pool_connections",
            "Connections to the database: checked_out, idle, or not opened yet.",
            ("state",),
            "livesum",
        )
        self._gauges.append(lambda: _set_all(connections, pool()))
        lag = self._gauge(
            "dspatch_event_loop_lag_seconds",
            "How late the event loop came to what was due: the worst of the last 15 s.",
            (),
            "livemax",
        )
        self._gauges.append(lambda: lag.set(lag_s()))

    def watch_breakers(self, levels: Callable[[], Mapping[str, int]]) -> None:
        """Read where the breakers of the adapters stand whenever somebody scrapes."""
        breakers = self._gauge(
            "dspatch_breaker_state",
            "Breakers, the worst of all processes: 0 closed, 1 half-open, 2 open.",
            ("adapter",),
            "livemax",
        )
        self._gauges.append(lambda: _set_all(breakers, levels()))

    def watch_pending(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """Read how much waits whenever somebody scrapes."""
        text = "What waits to be claimed, by queue."
        self._of_database.register(_Counts("dspatch_pending", text, "queue", counts))

    def watch_batches(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """Read how many batches there are whenever somebody scrapes."""
        text = "Batches, by status."
        self._of_database.register(_Counts("dspatch_batches", text, "status", counts))

    def read_gauges(self) -> None:
        """Read what is watched of this process, so that whoever is scraped can tell it."""
        for read in self._gauges:
            read()

    def execution_ended(
        self,
        program: str,
        adapter: str,
        outcome: str,
        duration_s: float,
        attempts: Iterable[Mapping[str, Any]],
    ) -> None:
        """Count an execution and its attempts, as its record tells them."""
        program = self._known(program)
        self._executions(program, adapter, outcome).inc()
        self._execution_s(program, outcome).observe(duration_s)
        for attempt in attempts:
            error = attempt["error"]
            error_type = error["type"] if error else NO_ERROR
            self._attempts(attempt["adapter"], error_type).inc()

    def item_ended(self, outcome: str) -> None:
        """Count an item of a batch, which is counted as an execution too."""
        self._batch_items(outcome).inc()

    def items_ended_unrun(self, program: str, adapter: str, outcome: str, count: int) -> None:
        """Count items of a batch that ended without having run."""
        self._executions(self._known(program), adapter, outcome).inc(count)
        self._batch_items(outcome).inc(count)

    def lm_called(self, lm: str, outcome: str, prompt: int, completion: int) -> None:
        """Count a call of an LM, and the tokens that it cost."""
        self._lm_calls(lm, outcome).inc()
        self._lm_tokens(lm, "prompt").inc(prompt)
        self._lm_tokens(lm, "completion").inc(completion)

    def http_answered(self, route: str, method: str, status: int, duration_s: float) -> None:
        """Count a request."""
        method = method if method in METHODS else OTHER
        self._requests(route, method, str(status)).inc()
        self._request_s(route).observe(duration_s)

    def page(self, accept: str) -> tuple[bytes, str]:
        """Write all figures and name their media type: OpenMetrics where `accept` asks for it."""
        self.read_gauges()
        encode, media_type = choose_encoder(accept)
        return encode(self._pages), media_type

    def samples(self) -> Samples:
        """Give all figures but the buckets of histograms, which say little without a history."""
        self.read_gauges()
        found = defaultdict(list)
        for metric in self._pages.collect():
            for sample in metric.samples:
                if not sample.name.endswith("_bucket"):
                    found[sample.name].append({"labels": sample.labels, "value": sample.value})
        return found

    def _known(self, program: str) -> str:
        if program in self._programs:
            return program
        if len(self._programs) >= MOST_PROGRAMS:
            return OTHER
        self._programs.add(program)
        return program

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Callable[..., Counter]:
        """Make a counter; what is given finds its child by label values without a lock."""
        return cache(Counter(name, text, labels, registry=self._own).labels)

    def _histogram(
        self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]
    ) -> Callable[..., Histogram]:
        histogram = Histogram(name, text, labels, buckets=buckets, registry=self._own)
        return cache(histogram.labels)

    def _gauge(
        self, name: str, text: str, labels: tuple[str, ...], mode: Literal["livesum", "livemax"]
    ) -> Gauge:
        """Make a gauge; `mode` says what the values of several living processes come to."""
        return Gauge(name, text, labels, registry=self._own, multiprocess_mode=mode)


def _set_all(gauge: Gauge, values: Mapping[str, int]) -> None:
    for label, value in values.items():
        gauge.labels(label).set(value)


class _Counts(Collector):
    """Counts of one name, told apart by one label, as they are when they are asked for."""

    def __init__(
        self, name: str, text: str, label: str, read: Callable[[], Mapping[str, int]]
    ) -> None:
        self._name = name
        self._text = text
        self._label = label
        self._read = read

    @override
    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(self._name, self._text, labels=(self._label,))
        for value, count in self._read().items():
            family.add_metric((value,), count)
        yield family


class _Pages(Collector):
    """All figures, without the times at which series were made: the contract has none."""

    def __init__(self, *sources: Collector) -> None:
        self._sources = sources

    @override
    def collect(self) -> Iterator[Metric]:
        for metric in chain.from_iterable(source.collect() for source in self._sources):
            metric.samples = [
                sample for sample in metric.samples if not sample.name.endswith("_created")
            ]
            yield metric
