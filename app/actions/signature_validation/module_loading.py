"""Step 1: the definition loads."""

from app.actions.signature_validation.step import StepOutcome, Subject, Tools
from app.adapters.signature_modules import ModuleLoadingError
from app.signatures.faults import SignatureError


async def load_module(subject: Subject, tools: Tools) -> StepOutcome:
    """Read the declaration: its fields, its notation, or its Python module."""
    module = subject.declaration.signature_module
    error = None
    is_loaded = True
    try:
        subject.draft = await subject.declaration.read(tools.modules)
    except ModuleLoadingError as failure:
        is_loaded, error = failure.is_loaded, str(failure)
    except SignatureError as failure:
        is_loaded, error = False, str(failure)
    found = {"module": module, "loaded": is_loaded, "has_signature": error is None}
    return StepOutcome(error is None, found, error)
