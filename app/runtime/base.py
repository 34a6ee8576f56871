"""What everything else of a process stands on: database, adapters, time, background tasks."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from random import Random

from app.adapters.lm_limits import LMLimiters
from app.adapters.registry import AdapterRegistry
from app.adapters.setup import AdapterSetup
from app.background import Background, Work, repeatedly
from app.checkpoints import Reached, crash_at
from app.database import Database
from app.models.ids import Ids
from app.policies.clock import Clock
from app.policies.drain import Drain
from app.policies.shield import Shield
from app.processes.channel import ControlChannel, Kind
from app.processes.vitals import Vitals
from app.settings import DatabaseSettings, Settings
from app.telemetry.metrics import Metrics

PARTITIONS_EVERY_S = 3_600.0
FOLD_COUNTS_EVERY_S = 5.0
READ_GAUGES_EVERY_S = 1.0

RESERVED = 4
"""Connections for what works where the pool is exhausted: keys, cancel, readiness, sweeps, jobs."""

WARM_UP = "warm up the adapters"


@dataclass(frozen=True)
class Base:
    """What everything else stands on."""

    settings: Settings
    database: Database
    reserved: Database
    adapters: AdapterRegistry
    limiters: LMLimiters
    background: Background
    channel: ControlChannel
    clock_offset_s: float
    ids: Ids
    reached: Reached
    clock: Clock
    random: Random
    metrics: Metrics
    drain: Drain
    shield: Shield
    vitals: Vitals

    def repeat(self, name: str, seconds: float, work: Work) -> None:
        """Do work about every so many seconds from now on."""
        self.background.start(name, repeatedly(seconds, work, self.clock, self.random))


async def open_base(
    stack: AsyncExitStack,
    settings: Settings,
    environment: Mapping[str, str],
    clock: Clock,
    random: Random,
    metrics: Metrics | None,
) -> Base:
    """Connect to the database and build what needs nothing else; raises as `open_runtime`."""
    metrics = metrics or Metrics()
    limiters = LMLimiters(settings.lms, clock)
    shared = AdapterSetup(
        "",
        lms=settings.lms,
        environment=environment,
        clock=clock,
        metrics=metrics,
        limiters=limiters,
    )
    adapters = AdapterRegistry.from_settings(settings.adapters, shared)
    stack.push_async_callback(adapters.cleanup)
    metrics.watch_breakers(adapters.breaker_levels)
    channel = ControlChannel(clock, random)
    database = Database.connect(settings.database, partial(channel.tell, Kind.PROGRAMS))
    stack.push_async_callback(database.close)
    await database.require_head()
    await database.make_weeks_ahead()
    reserved = Database.connect(narrowed(settings.database, RESERVED))
    stack.push_async_callback(reserved.close)
    background = Background(clock, random)
    stack.push_async_callback(background.close)
    clock_offset_s = await database.clock_offset_s(clock)
    return Base(
        settings=settings,
        database=database,
        reserved=reserved,
        adapters=adapters,
        limiters=limiters,
        background=background,
        channel=channel,
        clock_offset_s=clock_offset_s,
        ids=Ids(clock, clock_offset_s),
        reached=crash_at(settings.crash_at),
        clock=clock,
        random=random,
        metrics=metrics,
        drain=Drain(),
        shield=Shield(),
        vitals=Vitals(clock),
    )


def start_tasks(base: Base) -> None:
    """Start what every process does from its beginning to its end."""
    database, background = base.database, base.background

    async def fold_counts() -> None:
        async with database.transaction() as tx:
            await tx.programs.fold_counts()

    async def read_gauges() -> None:
        base.metrics.read_gauges()

    async def warm_up() -> None:
        await base.adapters.warm_up()
        background.start("check the adapters", base.adapters.check)

    async def listen() -> None:
        await base.channel.run(database.open_notices)

    lag, processor = base.vitals.loop_lag, base.vitals.processor
    base.metrics.watch(database.pool_counts, lambda: lag.worst_s)
    background.start("measure the event loop's lag", lag.measure)
    background.start("measure the processor's use", processor.measure)
    background.start(WARM_UP, warm_up)
    background.start("control channel", listen)
    base.repeat("make partitions", PARTITIONS_EVERY_S, database.make_weeks_ahead)
    base.repeat("fold counts", FOLD_COUNTS_EVERY_S, fold_counts)
    if base.metrics.is_shared:
        base.repeat("read gauges", READ_GAUGES_EVERY_S, read_gauges)


def narrowed(settings: DatabaseSettings, connections: int) -> DatabaseSettings:
    """Give the settings of a pool of so many connections."""
    return settings.model_copy(update={"pool_size": connections})
