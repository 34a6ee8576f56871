"""The report of a signature's validation, step by step, as OpenAPI describes it."""

from typing import Any
from uuid import UUID

from pydantic import Field

from app.actions.signature_validation import ValidationLevel
from app.api.views import Document, Instant, View
from app.signatures.definition import Side


class StoredSignatureView(View):
    """Which stored signature the report is about."""

    signature_id: UUID
    name: str
    version: int


class StepView(View):
    """What every step says."""

    passed: bool
    duration_ms: float
    error: str | None = Field(default=None, description="Where it did not pass.")


class ModuleLoadingView(StepView):
    """Whether the definition loads."""

    module: str | None
    loaded: bool
    has_signature: bool


class StructureChecks(View):
    """What a signature needs, whatever its types."""

    has_inputs: bool
    has_outputs: bool
    inputs_format: bool
    outputs_format: bool
    no_duplicate_names: bool


class SignatureStructureView(StepView):
    """Whether inputs and outputs are there and well formed."""

    structure_valid: bool
    input_count: int
    output_count: int
    checks: StructureChecks


class FieldValidation(View):
    """One field's type."""

    field: Any = Field(description="Its name.")
    side: Side
    type: Any
    constraints_valid: bool
    error: str | None = None


class TypeDefinitionsView(StepView):
    """Whether every type is known, and takes its constraints and its default."""

    all_types_valid: bool
    field_validations: list[FieldValidation]
    supported_types: list[str]


class SampleResult(View):
    """One sample value, and what the validator did with it."""

    value: Any = Field(description="Cut where it is long.")
    must_pass: bool
    passed: bool = Field(description="Whether the validator did as `must_pass` says.")
    error: str | None = Field(default=None, description="Why the value was refused.")


class ConstraintValidation(View):
    """One field's samples."""

    field: str
    side: Side
    type: str
    constraints: Document
    test_results: list[SampleResult]
    all_passed: bool


class FieldConstraintsView(StepView):
    """Whether the constraints take and refuse what they should."""

    all_constraints_working: bool
    constraint_validations: list[ConstraintValidation]


class Converted(View):
    """The signature as it comes back out of an adapter's own form."""

    notation: str
    lost: list[str]


class AdapterAnswer(View):
    """What an adapter says of the signature."""

    compatible: bool
    error: str | None = None
    converted: Converted | None = None


class AdapterCompatibilityView(StepView):
    """Which adapters take the signature."""

    adapter_compatibility: dict[str, AdapterAnswer]
    compatible_adapters: list[str]


class TargetAnswer(View):
    """What a target holds of the signature."""

    compatible: bool
    error: str | None = None
    notes: list[str]


class SerializationCompatibilityView(StepView):
    """Which targets hold the signature."""

    serialization_compatibility: dict[str, TargetAnswer]
    compatible_targets: list[str]


class ComplexityMetrics(View):
    """What the fields add up to; times in µs."""

    input_complexity: float
    output_complexity: float
    total_fields: int
    estimated_validation_time: int
    estimated_serialization_time: int


class Microseconds(View):
    """Of many runs."""

    median: float
    p99: float


class Measured(View):
    """What was measured on sample values."""

    validation_us: Microseconds
    serialization_us: Microseconds


class PerformanceView(StepView):
    """How light the signature is."""

    complexity_metrics: ComplexityMetrics
    performance_warnings: list[str]
    performance_rating: int = Field(ge=0, le=100)
    measured: Measured | None = Field(default=None, description="On the level `deep`.")


class ValidationResults(View):
    """The steps that ran."""

    module_loading: ModuleLoadingView
    signature_structure: SignatureStructureView | None = None
    type_definitions: TypeDefinitionsView | None = None
    field_constraints: FieldConstraintsView | None = None
    adapter_compatibility: AdapterCompatibilityView | None = None
    serialization_compatibility: SerializationCompatibilityView | None = None
    performance_characteristics: PerformanceView | None = None


class ValidationSummaryView(View):
    """The steps in short."""

    module_loading: bool
    structure_valid: bool
    types_valid: bool
    total_checks: int = Field(description="Steps that ran.")
    passed_checks: int


class ValidationReport(View):
    """What the validation of a signature found, step by step."""

    signature: StoredSignatureView | None = Field(description="Null where it is not stored.")
    signature_module: str | None
    validation_level: ValidationLevel
    timestamp: Instant
    overall_valid: bool
    failed_step: str | None = Field(description="The step that ended the run.")
    results: ValidationResults
    summary: ValidationSummaryView
