"""How a process is told to stop: by signals, or by the end of its parent."""

import asyncio
import logging
import signal
from functools import partial

from app.policies.drain import Drain, Stage
from app.policies.readable import until_readable

_FIRST_STAGES = {signal.SIGTERM: Stage.DRAINING, signal.SIGINT: Stage.CLOSING}
"""What the first signal asks for; Ctrl-C comes from a person, whom no proxy has to hear of."""

logger = logging.getLogger(__name__)


def hear_signals(drain: Drain) -> None:
    """Have SIGTERM drain and SIGINT close, and any later one hurry.

    They are heard until the event loop is closed: none cuts the last records off.
    """
    loop = asyncio.get_running_loop()
    for number, stage in _FIRST_STAGES.items():
        loop.add_signal_handler(number, partial(_on_signal, drain, stage))


async def hear_end(sentinel: int, drain: Drain) -> None:
    """Have the end of the process whose sentinel this is close: nobody else would."""
    await until_readable(sentinel)
    logger.info("the parent has died")
    drain.go_to(Stage.CLOSING)


def _on_signal(drain: Drain, stage: Stage) -> None:
    stage = Stage.HURRYING if drain.has_begun else stage
    logger.info("told to stop: %s", stage.name.lower())
    drain.go_to(stage)
