"""Validate a signature before production: seven steps, in order (mission, section 4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.actions.signature_declaration import SignatureDeclaration
from app.actions.signature_validation.adapter_compatibility import ask_adapters
from app.actions.signature_validation.field_constraints import try_constraints
from app.actions.signature_validation.module_loading import load_module
from app.actions.signature_validation.performance_characteristics import rate_performance
from app.actions.signature_validation.serialization_compatibility import serialize
from app.actions.signature_validation.signature_structure import check_structure
from app.actions.signature_validation.step import Step, StepOutcome, Subject, Tools
from app.actions.signature_validation.type_definitions import check_types

STEPS: tuple[tuple[str, Step], ...] = (
    ("module_loading", load_module),
    ("signature_structure", check_structure),
    ("type_definitions", check_types),
    ("field_constraints", try_constraints),
    ("adapter_compatibility", ask_adapters),
    ("serialization_compatibility", serialize),
    ("performance_characteristics", rate_performance),
)

ENDING = 4
"""So many steps end the run where they fail; they are those of the standard level, too."""


class ValidationLevel(StrEnum):
    """How much is looked at."""

    STANDARD = "standard"
    """Whether the signature is sound."""
    COMPREHENSIVE = "comprehensive"
    """And which back-ends and providers take it, and what it will cost."""
    DEEP = "deep"
    """And what it costs, measured."""


@dataclass(frozen=True)
class StoredSignature:
    """The signature that a report is about, where it is stored."""

    signature_id: UUID
    name: str
    version: int


@dataclass(frozen=True)
class SignatureValidationInput:
    """What is validated, and how much of it; `stored` where it is."""

    declaration: SignatureDeclaration
    validation_level: ValidationLevel = ValidationLevel.STANDARD
    name: str = "signature"
    stored: StoredSignature | None = None


@dataclass(frozen=True)
class ValidationSummary:
    """The steps in short."""

    module_loading: bool
    structure_valid: bool
    types_valid: bool
    total_checks: int
    passed_checks: int


@dataclass(frozen=True)
class SignatureValidationReport:
    """What each step found; `failed_step` ended the run."""

    signature: StoredSignature | None
    signature_module: str | None
    validation_level: ValidationLevel
    timestamp: datetime
    overall_valid: bool
    failed_step: str | None
    results: Mapping[str, Mapping[str, Any]]
    summary: ValidationSummary


class SignatureValidation:
    """Validates signatures."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def __call__(self, wanted: SignatureValidationInput) -> SignatureValidationReport:
        """Run the steps of the level; whatever is wrong stands in the report."""
        timestamp = self._tools.clock.now()
        level = wanted.validation_level
        measures = level is ValidationLevel.DEEP
        subject = Subject(wanted.name, wanted.declaration, measures=measures)
        results: dict[str, Mapping[str, Any]] = {}
        failed_step = None
        for number, (name, step) in enumerate(_steps(level)):
            outcome, duration_s = await self._run(step, subject)
            results[name] = outcome.as_document(duration_s)
            if not outcome.passed and number < ENDING:
                failed_step = name
                break
        passed = {name: bool(result["passed"]) for name, result in results.items()}
        return SignatureValidationReport(
            signature=wanted.stored,
            signature_module=wanted.declaration.signature_module,
            validation_level=level,
            timestamp=timestamp,
            overall_valid=all(passed.values()),
            failed_step=failed_step,
            results=results,
            summary=_summary(passed),
        )

    async def _run(self, step: Step, subject: Subject) -> tuple[StepOutcome, float]:
        clock = self._tools.clock
        started = clock.monotonic()
        outcome = await step(subject, self._tools)
        return outcome, clock.monotonic() - started


def _steps(level: ValidationLevel) -> tuple[tuple[str, Step], ...]:
    return STEPS[:ENDING] if level is ValidationLevel.STANDARD else STEPS


def _summary(passed: Mapping[str, bool]) -> ValidationSummary:
    return ValidationSummary(
        module_loading=passed["module_loading"],
        structure_valid=passed.get("signature_structure", False),
        types_valid=passed.get("type_definitions", False),
        total_checks=len(passed),
        passed_checks=sum(passed.values()),
    )
