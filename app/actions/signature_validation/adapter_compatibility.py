"""Step 5: which adapters take the signature, and what of it comes back out of their own form."""

import asyncio
import logging
from typing import Any

from app.actions.signature_validation.step import StepOutcome, Subject, Tools
from app.adapters.base import Adapter, ConvertsSignatures
from app.adapters.errors import AdapterError
from app.adapters.guarded import GuardedAdapter
from app.signatures.definition import SignatureDefinition
from app.signatures.losses import losses

logger = logging.getLogger(__name__)


async def ask_adapters(subject: Subject, tools: Tools) -> StepOutcome:
    """Ask every registered adapter, side by side; one that takes the signature is enough."""
    names = tools.adapters.names()
    answers = await asyncio.gather(
        *(_asked(tools.adapters.get(name), subject, tools.adapter_timeout_s) for name in names)
    )
    compatibility = dict(zip(names, answers, strict=True))
    compatible = [name for name in names if compatibility[name]["compatible"]]
    found = {"adapter_compatibility": compatibility, "compatible_adapters": compatible}
    return StepOutcome(bool(compatible), found, None if compatible else "no adapter takes it")


async def _asked(adapter: GuardedAdapter, subject: Subject, timeout_s: float) -> dict[str, Any]:
    definition = subject.draft.definition
    try:
        async with asyncio.timeout(timeout_s):
            await adapter.validate_signature(definition)
            return {"compatible": True, **await _converted(adapter.inner, definition)}
    except TimeoutError:
        error = f"it did not answer within {timeout_s:g} s"
    except AdapterError as failure:
        error = failure.message
    except Exception as failure:
        logger.exception("the adapter %s failed to validate a signature", adapter.name)
        error = f"it failed ({type(failure).__name__})"
    return {"compatible": False, "error": error}


async def _converted(adapter: Adapter, definition: SignatureDefinition) -> dict[str, Any]:
    if not isinstance(adapter, ConvertsSignatures):
        return {}
    after = await adapter.convert_signature(definition)
    return {"converted": {"notation": after.notation, "lost": losses(definition, after)}}
