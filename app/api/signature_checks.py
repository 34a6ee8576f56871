"""The routes that look at signatures: validation, documents for other tools, comparison."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import ConfigDict, Field

from app.actions.signature_declaration import SignatureDeclaration
from app.actions.signature_validation import (
    SignatureValidationInput,
    SignatureValidationReport,
    StoredSignature,
    ValidationLevel,
)
from app.api.auth import MANAGE, READ, needs
from app.api.contract_route import ContractRoute
from app.api.deps import CallerDep, RuntimeDep, SignatureId
from app.api.problems import problem_responses
from app.api.signatures import SignatureDeclare
from app.api.validation_views import ValidationReport
from app.api.views import Document, Name, RequestBody, Text, View
from app.errors import SignatureNotFoundError
from app.models import Signature
from app.runtime import Runtime
from app.signatures.compare import ChangeKind, compare
from app.signatures.definition import Side
from app.signatures.serializers import SERIALIZERS, NamedSignature, Target

router = APIRouter(prefix="/v1/signatures", tags=["signatures"], route_class=ContractRoute)

_DEFINITION: Document = {
    "notation": "question: str -> answer: constrained[string, max_length=200]",
    "validation_level": "comprehensive",
}

Level = Annotated[ValidationLevel, Field(examples=["comprehensive"])]


class SignatureValidate(RequestBody):
    """How much to look at."""

    validation_level: Level = ValidationLevel.STANDARD


class DefinitionValidate(SignatureDeclare):
    """A definition that is not stored, and how much to look at."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DEFINITION]})

    name: Name = "signature"
    description: Text = ""
    validation_level: Level = ValidationLevel.STANDARD


class SignatureDocument(View):
    """One side of a signature as another tool reads it."""

    target: Target
    side: Side
    document: dict[str, Any] | str = Field(description="Text where the target is `python_type`.")
    notes: list[str] = Field(description="What the target cannot hold.")


class SignatureChange(View):
    """One change; `field` and `side` are null for the instructions."""

    field: str | None
    side: Side | None
    change: ChangeKind
    breaking: bool
    detail: str


class SignatureComparison(View):
    """Whether a signature can replace another for those who call it."""

    compatible: bool
    changes: list[SignatureChange]


@router.post("/validate", response_model=ValidationReport, response_model_exclude_unset=True)
@needs(READ)
async def validate_definition(
    body: DefinitionValidate, runtime: RuntimeDep, caller: CallerDep
) -> SignatureValidationReport:
    if body.signature_module is not None:
        MANAGE.require(caller)
    return await runtime.validate_signature(
        SignatureValidationInput(body.as_declaration(), body.validation_level, body.name)
    )


@router.post(
    "/{signature_id}/validate",
    response_model=ValidationReport,
    response_model_exclude_unset=True,
    responses=problem_responses(SignatureNotFoundError),
)
@needs(READ)
async def validate_signature(
    signature_id: SignatureId, body: SignatureValidate, runtime: RuntimeDep
) -> SignatureValidationReport:
    found = await _signature(runtime, signature_id)
    stored = StoredSignature(found.id, found.name, found.version)
    declared = SignatureDeclaration(found.instructions, found.inputs, found.outputs)
    return await runtime.validate_signature(
        SignatureValidationInput(declared, body.validation_level, found.name, stored)
    )


@router.get("/{signature_id}/schema", responses=problem_responses(SignatureNotFoundError))
@needs(READ)
async def get_signature_schema(
    signature_id: SignatureId,
    runtime: RuntimeDep,
    target: Target = Target.JSON_SCHEMA,
    side: Side = Side.INPUTS,
) -> SignatureDocument:
    found = await _signature(runtime, signature_id)
    named = NamedSignature(found.name, found.definition)
    written = await asyncio.to_thread(SERIALIZERS[target], named, side)
    notes = [*written.notes, *(f"not taken: {refusal}" for refusal in written.refusals)]
    return SignatureDocument(target=target, side=side, document=written.document, notes=notes)


@router.get("/{signature_id}/compare", responses=problem_responses(SignatureNotFoundError))
@needs(READ)
async def compare_signatures(
    signature_id: SignatureId,
    runtime: RuntimeDep,
    other_id: Annotated[UUID, Query(alias="with", description="The one that would replace it.")],
) -> SignatureComparison:
    old = await _signature(runtime, signature_id)
    new = await _signature(runtime, other_id)
    changes = await asyncio.to_thread(compare, old.definition, new.definition)
    return SignatureComparison(
        compatible=not any(change.breaking for change in changes),
        changes=[SignatureChange.model_validate(change) for change in changes],
    )


async def _signature(runtime: Runtime, signature_id: UUID) -> Signature:
    async with runtime.database.transaction() as tx:
        return await tx.signatures.get(signature_id)
