"""The first import of DSPy: off the event loop, once, and without what DSPy does for notebooks."""

import asyncio
import importlib
import logging
import os
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.adapters.dspy.programs import DspyPrograms

SHADOWING = 'Field name ".*" shadows an attribute'
"""How pydantic's warning of such a name begins."""

# Read by DSPy and by litellm: without it both fetch a price list over the network.
LOCAL_PRICES = {"LITELLM_LOCAL_MODEL_COST_MAP": "true"}


async def import_programs() -> "type[DspyPrograms]":
    """Import what needs DSPy in a thread: the first time costs up to three seconds."""
    return await asyncio.to_thread(_import)


def _import() -> "type[DspyPrograms]":
    os.environ.update(LOCAL_PRICES)
    dspy = importlib.import_module("dspy")
    # Its disk cache unpickles, and its memory cache is shared by all callers.
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    _use_our_logging()
    # pydantic warns of field names that would shadow an instance's own; DSPy makes no instances.
    warnings.filterwarnings("ignore", SHADOWING, UserWarning)
    programs = importlib.import_module("app.adapters.dspy.programs")
    kind: type[DspyPrograms] = programs.DspyPrograms
    return kind


def _use_our_logging() -> None:
    logger = logging.getLogger("dspy")
    logger.handlers.clear()
    logger.setLevel(logging.WARNING)
    logger.propagate = True
