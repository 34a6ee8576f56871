"""The OpenAPI document of one program: the application's own, cut to one typed operation."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from fastapi import APIRouter, Request
from pydantic import RootModel

from app.api.auth import READ_RUNS, needs
from app.api.contract_route import ContractRoute
from app.api.deps import ProgramId, RuntimeDep
from app.api.problems import problem_responses
from app.api.views import Document
from app.errors import ProgramNotFoundError
from app.models import Program
from app.signatures.definition import SignatureDefinition
from app.signatures.serializers.json_schema import side_schema

router = APIRouter(prefix="/v1/programs", tags=["programs"], route_class=ContractRoute)

_EXECUTE = "/v1/programs/{program_id}/executions"
_SCHEMAS = "#/components/schemas/"
_INPUTS = {"$ref": f"{_SCHEMAS}ProgramInputs"}
_OUTPUTS = {"$ref": f"{_SCHEMAS}ProgramOutputs"}
_NULL = {"type": "null"}


class OpenAPIDocument(RootModel[Document]):
    """A document as OpenAPI 3.1 has it."""


@router.get(
    "/{program_id}/openapi.json",
    response_model=OpenAPIDocument,
    responses=problem_responses(ProgramNotFoundError),
)
@needs(READ_RUNS)
async def get_program_openapi(
    program_id: ProgramId, runtime: RuntimeDep, request: Request
) -> dict[str, Any]:
    async with runtime.database.transaction() as tx:
        program = await tx.programs.get(program_id)
        signature = await tx.signatures.get(program.signature_id)
    return describe_program(request.app.openapi(), program, signature.definition)


def describe_program(
    document: Mapping[str, Any], program: Program, definition: SignatureDefinition
) -> dict[str, Any]:
    """Cut the application's document to the execution of one program, and type it.

    Problems, headers and security stay as they are for every program.
    """
    operations = deepcopy(document["paths"][_EXECUTE])
    for operation in operations.values():
        operation["parameters"] = [
            one for one in operation["parameters"] if one["name"] != "program_id"
        ]
    path = _EXECUTE.format(program_id=program.id)
    info = {
        "title": program.name,
        "version": str(program.revision),
        "description": program.description or definition.instructions,
    }
    schemas = _typed(_reached(operations, document["components"]["schemas"]), definition)
    tags = {tag for operation in operations.values() for tag in operation["tags"]}
    return {
        **document,
        "info": info,
        "paths": {path: operations},
        "components": {**document["components"], "schemas": schemas},
        "tags": [tag for tag in document["tags"] if tag["name"] in tags],
    }


def _reached(operations: Any, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the schemas to which the operations lead, directly or through each other."""
    found: dict[str, Any] = {}
    ahead = set(_references(operations))
    while ahead:
        name = ahead.pop()
        found[name] = deepcopy(schemas[name])
        ahead |= set(_references(found[name])) - found.keys()
    return dict(sorted(found.items()))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].removeprefix(_SCHEMAS)
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _typed(schemas: dict[str, Any], definition: SignatureDefinition) -> dict[str, Any]:
    """Put the signature's types in the place of any object."""
    schemas["ExecutionCreate"]["properties"]["inputs"] = _INPUTS
    execution = schemas["Execution"]["properties"]
    execution["inputs"] = {"anyOf": [_INPUTS, _NULL]}
    execution["outputs"] = {"anyOf": [_OUTPUTS, _NULL]}
    return {
        **schemas,
        "ProgramInputs": side_schema(definition.inputs),
        "ProgramOutputs": side_schema(definition.outputs, complete=True),
    }
