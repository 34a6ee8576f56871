"""`dspatch worker`: the work that no request waits for, without an API."""

import asyncio
import os
import socket
from contextlib import AsyncExitStack
from pathlib import Path

from app.commands.console import err, plain_errors
from app.commands.local_stack import local_stack, without_keys
from app.commands.options import DEFAULT_DATA_DIR, Config, DataDir, Local
from app.commands.server import answering, bind, require_safe
from app.commands.signals import hear_signals
from app.jobs.worker import Worker
from app.main import PROBES, create_app
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

    With `[worker] probes_port` it answers probes and /metrics there.

    For example `dspatch worker --config dspatch.toml`, or, beside a `dspatch serve --local`,
    `dspatch worker --local`.
    """
    with plain_errors():
        asyncio.run(_run(load_settings(config), data_dir if local else None))


async def _run(settings: Settings, data_dir: Path | None) -> None:
    """Refuse what cannot be before anything is started."""
    if data_dir is not None:
        settings = without_keys(settings)
    async with AsyncExitStack() as stack:
        listener = None
        if (port := settings.worker.probes_port) is not None:
            require_safe(settings, settings.worker.probes_host)
            listener = stack.enter_context(bind(settings.worker.probes_host, port))
        if data_dir is not None:
            settings = await stack.enter_async_context(local_stack(settings, data_dir))
        await _work(settings, listener)


async def _work(settings: Settings, listener: socket.socket | None) -> None:
    """Work until a signal; then let what runs end within the grace, and give back the rest."""
    mask = Mask(secrets_of(settings, os.environ))
    configure_logging(settings.logging, mask)
    works = settings.worker.model_copy(update={"embedded": True})
    settings = settings.model_copy(update={"worker": works})
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(exporting(VERSION, os.environ, mask))
        runtime = await stack.enter_async_context(open_runtime(settings, kind="worker"))
        hear_signals(runtime.drain)
        where = ""
        if listener is not None:
            probes = answering(create_app(settings, runtime, PROBES), runtime, listener, 0)
            await stack.enter_async_context(probes)
            host, port, *_ = listener.getsockname()
            where = f", and answers probes on http://{host}:{port}"
        err.print(f"Dspatch works{where}", soft_wrap=True)
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
