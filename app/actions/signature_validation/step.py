"""What every step of a validation is given, and what it gives back."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.actions.signature_declaration import SignatureDeclaration
from app.adapters.registry import AdapterRegistry
from app.adapters.signature_modules import SignatureModules
from app.policies.clock import Clock
from app.signatures.draft import Draft


@dataclass(frozen=True)
class StepOutcome:
    """Whether a step passed, and what it found, as the report has it; `error` where it has one."""

    passed: bool
    found: Mapping[str, Any]
    error: str | None = None

    def as_document(self, duration_s: float) -> dict[str, Any]:
        """Give the outcome as the report holds it."""
        document = {"passed": self.passed, "duration_ms": duration_s * 1_000, **self.found}
        return document if self.error is None else {**document, "error": self.error}


@dataclass(frozen=True)
class Tools:
    """What steps work with; an adapter may think about a signature for `adapter_timeout_s`."""

    modules: SignatureModules
    adapters: AdapterRegistry
    clock: Clock
    adapter_timeout_s: float = 10.0


@dataclass
class Subject:
    """What is validated; the first step reads `draft`, on which the others look."""

    name: str
    declaration: SignatureDeclaration
    draft: Draft = field(default_factory=Draft.empty)
    measures: bool = False


Step = Callable[[Subject, Tools], Awaitable[StepOutcome]]
