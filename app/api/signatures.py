"""The routes of signatures."""

from functools import partial
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import ConfigDict, Field, model_validator

from app.actions.signature_declaration import SignatureDeclaration
from app.actions.signature_registration import (
    SignatureRegistrationInput,
    SignatureRegistrationReport,
)
from app.api.auth import MANAGE, READ, needs
from app.api.contract_route import ContractRoute
from app.api.deps import PageDep, RuntimeDep, SignatureId
from app.api.idempotency import PARAMETER, claim_of, once
from app.api.problems import ProblemFault, problem_responses
from app.api.views import Document, Instant, Name, RequestBody, Text, View
from app.errors import (
    IdempotencyKeyReusedError,
    InvalidSignatureError,
    InvalidTransitionError,
    SignatureInUseError,
    SignatureNotFoundError,
)
from app.models import IdempotencyKey
from app.models import Signature as SignatureRow
from app.models.idempotency_keys import Claim
from app.models.states import SignatureStatus
from app.signatures.definition import Side
from app.stores.pages import Paged

router = APIRouter(prefix="/v1/signatures", tags=["signatures"], route_class=ContractRoute)


class SignatureField(RequestBody):
    """One input or output."""

    name: Text = Field(examples=["question"])
    type: Text = Field(description="A type in the notation.", examples=["list[string]"])
    constraints: Document = Field(default_factory=dict, examples=[{"max_length": 200}])
    description: Text = ""
    default: Any = Field(default=None, description="Makes the field optional for callers.")

    def as_document(self) -> Document:
        """Give the field as the signatures' core reads it: no default where none was sent."""
        return self.model_dump(exclude_unset=True)


Fields = Annotated[list[SignatureField], Field(max_length=1_000)]

_IN_NOTATION: Document = {
    "name": "answer_question",
    "instructions": "Answer in one short sentence.",
    "notation": "question: str -> answer: constrained[string, max_length=200]",
}
_IN_FIELDS: Document = {
    "name": "triage",
    "description": "Which team a ticket goes to.",
    "inputs": [
        {"name": "ticket", "type": "string", "constraints": {"max_length": 2000}},
        {"name": "teams", "type": "list[string]", "description": "Those that there are."},
    ],
    "outputs": [{"name": "team", "type": "string"}, {"name": "urgency", "type": "float"}],
}


class SignatureDeclare(RequestBody):
    """Fields, the arrow notation, or a class in a Python module."""

    instructions: Text = ""
    inputs: Fields | None = None
    outputs: Fields | None = None
    notation: Text | None = None
    signature_module: Text | None = Field(
        default=None,
        description="From one of the packages of the setting `[imports] packages`.",
        examples=["package.module:Name"],
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [self.inputs, self.notation, self.signature_module]
        given = sum(way is not None for way in ways)
        if given != 1 or (self.inputs is None) != (self.outputs is None):
            raise ValueError("give inputs and outputs, or notation, or signature_module")
        return self

    def as_declaration(self) -> SignatureDeclaration:
        """Give the body as actions take it."""
        return SignatureDeclaration(**self._declared())

    def _declared(self) -> Document:
        return {
            "instructions": self.instructions,
            "inputs": [field.as_document() for field in self.inputs or ()],
            "outputs": [field.as_document() for field in self.outputs or ()],
            "notation": self.notation,
            "signature_module": self.signature_module,
        }


class SignatureCreate(SignatureDeclare):
    """A signature: fields, the arrow notation, or a class in a Python module."""

    model_config = ConfigDict(json_schema_extra={"examples": [_IN_NOTATION, _IN_FIELDS]})

    name: Name
    description: Text = ""

    def as_input(self, claim: Claim | None) -> SignatureRegistrationInput:
        """Give the body as the action takes it."""
        return SignatureRegistrationInput(
            name=self.name, description=self.description, claim=claim, **self._declared()
        )


class Signature(View):
    """A named, versioned, typed contract."""

    signature_id: UUID = Field(validation_alias="id")
    name: str
    version: int
    status: SignatureStatus
    instructions: str
    description: str
    inputs: list[Document]
    outputs: list[Document]
    notation: str
    created_at: Instant
    updated_at: Instant


class SignatureList(View):
    """One page of signatures, newest first."""

    items: list[Signature]
    next_cursor: str | None


class ValuesCheck(RequestBody):
    """Values to hold against one side of a signature."""

    side: Side
    values: Document = Field(examples=[{"question": "What is the capital of France?"}])


class ValuesCheckReport(View):
    """The converted values, or all that is wrong with them."""

    valid: bool
    values: Document | None = Field(description="Null where they are not valid.")
    errors: list[ProblemFault]


@router.post(
    "",
    openapi_extra={"parameters": [PARAMETER]},
    status_code=status.HTTP_201_CREATED,
    response_model=Signature,
    responses={
        200: {"description": "A version of this name says the same already.", "model": Signature},
        **problem_responses(
            InvalidSignatureError, SignatureNotFoundError, IdempotencyKeyReusedError
        ),
    },
)
@needs(MANAGE)
async def create_signature(
    body: SignatureCreate,
    runtime: RuntimeDep,
    request: Request,
    response: Response,
) -> SignatureRow:
    claim = await claim_of(request)

    async def replay(kept: IdempotencyKey) -> SignatureRegistrationReport:
        async with runtime.database.transaction() as tx:
            signature = await tx.signatures.get(kept.resource_id)
        return SignatureRegistrationReport(signature, is_new=kept.is_new)

    register = partial(runtime.register_signature, body.as_input(claim))
    report = await once(request, claim, register, replay)
    if report.is_new:
        response.headers["Location"] = f"/v1/signatures/{report.signature.id}"
    else:
        response.status_code = status.HTTP_200_OK
    return report.signature


@router.get("", response_model=SignatureList)
@needs(READ)
async def list_signatures(
    runtime: RuntimeDep,
    page: PageDep,
    name: str | None = None,
    status: Annotated[SignatureStatus | None, Query()] = None,
) -> Paged[SignatureRow]:
    async with runtime.database.transaction() as tx:
        return await tx.signatures.list_page(page, name=name, status=status)


@router.get(
    "/{signature_id}",
    response_model=Signature,
    responses=problem_responses(SignatureNotFoundError),
)
@needs(READ)
async def get_signature(signature_id: SignatureId, runtime: RuntimeDep) -> SignatureRow:
    async with runtime.database.transaction() as tx:
        return await tx.signatures.get(signature_id)


@router.post(
    "/{signature_id}/activate",
    response_model=Signature,
    responses=problem_responses(SignatureNotFoundError, InvalidTransitionError),
)
@needs(MANAGE)
async def activate_signature(signature_id: SignatureId, runtime: RuntimeDep) -> SignatureRow:
    return await runtime.move_signature(signature_id, SignatureStatus.ACTIVE)


@router.post(
    "/{signature_id}/deprecate",
    response_model=Signature,
    responses=problem_responses(SignatureNotFoundError, InvalidTransitionError),
)
@needs(MANAGE)
async def deprecate_signature(signature_id: SignatureId, runtime: RuntimeDep) -> SignatureRow:
    return await runtime.move_signature(signature_id, SignatureStatus.DEPRECATED)


@router.delete(
    "/{signature_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problem_responses(SignatureNotFoundError, SignatureInUseError),
)
@needs(MANAGE)
async def delete_signature(signature_id: SignatureId, runtime: RuntimeDep) -> None:
    async with runtime.database.transaction() as tx:
        await tx.signatures.delete(signature_id)


@router.post(
    "/{signature_id}/check",
    response_model_exclude_unset=True,  # a fault has `expected` and `received` where it can
    responses=problem_responses(SignatureNotFoundError),
)
@needs(READ)
async def check_values(
    signature_id: SignatureId, body: ValuesCheck, runtime: RuntimeDep
) -> ValuesCheckReport:
    report = await runtime.check_values(signature_id, body.side, body.values)
    errors = [ProblemFault.model_validate(fault.as_document()) for fault in report.faults]
    return ValuesCheckReport(valid=report.values is not None, values=report.values, errors=errors)
