"""`dspatch worker`: the work that no request waits for, without an API."""

import asyncio
import os
from pathlib import Path

from app.commands.console import err, plain_errors
from app.commands.local_stack import local_stack
from app.commands.options import DEFAULT_DATA_DIR, Config, DataDir, Local
from app.commands.signals import hear_signals
from app.jobs.worker import Worker
from app.policies.drain import Drain, Stage
from app.runtime import VERSION, open_runtime
from app.settings import Settings, load_settings
from app.telemetry.export import exporting
from app.telemetry.logs import configure_logging
from app.telemetry.masking import Mask, secrets_of


def worker(
    config: Config = None,
    local: Local = False,  # noqa: FBT002 - a flag of the command line
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Run background executions, beside the servers on the same database.

    For example `dspatch worker --config dspatch.toml`, or, beside a `dspatch serve --local`,
    `dspatch worker --local`.
    """
    with plain_errors():
        asyncio.run(_run(load_settings(config), data_dir if local else None))


async def _run(settings: Settings, data_dir: Path | None) -> None:
    if data_dir is None:
        await _work(settings)
    else:
        async with local_stack(settings, data_dir) as local:
            await _work(local)


async def _work(settings: Settings) -> None:
    """Work until a signal; then let what runs end within the grace, and give back the rest."""
    configure_logging(settings.logging, Mask(secrets_of(settings, os.environ)))
    works = settings.worker.model_copy(update={"embedded": True})
    settings = settings.model_copy(update={"worker": works})
    telling = exporting(VERSION, os.environ)
    async with telling, open_runtime(settings, kind="worker") as runtime:
        hear_signals(runtime.drain)
        err.print("Dspatch works", soft_wrap=True)
        await runtime.drain.until(Stage.DRAINING)
        await _end(runtime.worker, runtime.drain, settings.server.grace_ms / 1_000)


async def _end(worker: Worker, drain: Drain, grace_s: float) -> None:
    """Return when nothing runs, the grace is over, or somebody is in a hurry."""
    worker.stop()
    idle = asyncio.create_task(worker.until_idle(), name="until idle")
    hurry = asyncio.create_task(drain.until(Stage.HURRYING), name="until in a hurry")
    await asyncio.wait({idle, hurry}, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
    for waiting in (idle, hurry):
        waiting.cancel()
