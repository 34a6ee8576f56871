"""What a durable record costs: executions on `mock` over HTTP against a bare FastAPI route.

`python -m bench.record_path [--requests 4000] [--clients 32] [--rounds 3] [--ways bare,recorder]`

Ways: `bare` (no record), `recorder` (as served), `spans` (the same, a tenth of the executions told
to a collector), `orm` (three ORM transactions, one of them to read the program). CPU is per
execution, the server's and PostgreSQL's apart.
"""

import argparse
import statistics
from pathlib import Path

import psutil

from bench.house import (
    a_database,
    answering,
    cpu_s,
    free_port,
    load,
    postgres_processes,
    program_path,
    started,
    wait_for,
)

WARM_UP = 500


def measure(way: str, url: str, folder: Path, wanted: argparse.Namespace) -> dict[str, float]:
    """Serve one way and load it; give the medians of the rounds."""
    port = free_port()
    with (
        answering() as collector,
        started(
            "bench.servers",
            way,
            str(port),
            url,
            environment=variables(collector) if way == "spans" else {},
        ) as server,
    ):
        wait_for(port)
        path = program_path(port, way)
        load(port, path, WARM_UP, wanted.clients)
        rounds = [one_round(server, folder, (port, path), wanted) for _ in range(wanted.rounds)]
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]} | {
        "grown_mib": rounds[-1]["rss_mib"] - rounds[0]["rss_mib"]
    }


def variables(collector: str) -> dict[str, str]:
    """Give the variables by which a tenth of the executions is told to a collector."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.1",
    }


def one_round(
    server: psutil.Process, folder: Path, target: tuple[int, str], wanted: argparse.Namespace
) -> dict[str, float]:
    """Load once, and give the figures."""
    theirs = postgres_processes(folder)
    before, before_theirs = cpu_s([server]), cpu_s(theirs)
    figures = load(*target, wanted.requests, wanted.clients)
    return figures | {
        "cpu_ms": (cpu_s([server]) - before) * 1_000 / wanted.requests,
        "postgres_ms": (cpu_s(theirs) - before_theirs) * 1_000 / wanted.requests,
        "rss_mib": server.memory_info().rss / 1024**2,
    }


def report(figures: dict[str, dict[str, float]]) -> None:
    """Print a table, each way against the bare route."""
    bare = figures.get("bare")
    for way, one in figures.items():
        share = f"{one['per_s'] / bare['per_s']:5.2f} x" if bare else ""
        added = f" added {one['cpu_ms'] - bare['cpu_ms']:5.2f} ms" if bare else ""
        print(
            f"{way:9} {one['per_s']:7.0f}/s {share} p50 {one['p50_ms']:6.1f} p99 "
            f"{one['p99_ms']:6.1f} ms  cpu {one['cpu_ms']:5.2f} ms{added}"
            f"  postgres {one['postgres_ms']:5.2f} ms  grown {one['grown_mib']:+.1f} MiB"
        )


def main() -> None:
    """Measure every way that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=4_000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", default="bare,recorder,orm")
    wanted = parser.parse_args()
    with a_database() as (url, folder):
        figures = {way: measure(way, url, folder, wanted) for way in wanted.ways.split(",")}
    report(figures)


if __name__ == "__main__":
    main()
