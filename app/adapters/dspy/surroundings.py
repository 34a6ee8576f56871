"""What the LMs of a `dspy` adapter take from outside."""

from dataclasses import dataclass

from app.adapters.dspy.servers import ModelServers
from app.adapters.lm_limits import Lines
from app.policies.clock import Clock
from app.telemetry.metrics import Metrics


@dataclass(frozen=True)
class Surroundings:
    """The way to servers, the lines before the LMs, time, and what is counted."""

    servers: ModelServers
    limiters: Lines
    clock: Clock
    metrics: Metrics
