"""Programs on another Dspatch: found by name, else registered there."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from app.adapters.base import Program
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.remote.answers import (
    Document,
    Model,
    ProgramDocument,
    is_good,
    problem_of,
    read,
    refusal,
)
from app.adapters.remote.client import Answer, RemoteClient
from app.policies.clock import Clock

LONGEST_OF_NAME = 80
"""Characters of a program's name that its name there shows; the rest of that is unique."""

LOOK_AGAIN_S = 0.2
"""How often a program is looked at that is being prepared there."""

MOST_REVISIONS = "200"
"""As many revisions of one program are retired at once; it is the longest page."""


class ProgramPage(Document):
    """A page of programs; those of one name, or one signature, fit on one."""

    items: list[ProgramDocument]


class SignatureDocument(Document):
    """A signature there."""

    signature_id: str


class SignaturePage(Document):
    """A page of signatures."""

    items: list[SignatureDocument]


class RemotePrograms:
    """Finds and registers programs.

    A program's name there is made of its id and revision here, so that it is found again whatever
    was restarted meanwhile: nothing has to be remembered.
    """

    def __init__(self, client: RemoteClient, adapter: str, clock: Clock) -> None:
        self._client = client
        self._adapter = adapter
        self._clock = clock

    async def prepare(self, program: Program) -> str:
        """Give the id of the program there, ready to run; raises AdapterError."""
        if "remote_program" in program.config:
            return _ready(await self._get(program.config["remote_program"]))
        found = await self._find(_name(program)) or await self._register(program)
        while found.status == "initializing":  # for another process of ours
            await self._clock.sleep(LOOK_AGAIN_S)
            found = await self._get(found.name)
        if found.status in {"draft", "error"}:
            answer = await self._client.post(f"/v1/programs/{found.program_id}/initialize")
            found = self._read(answer, ProgramDocument)
        return _ready(found)

    async def look(self) -> None:
        """See that programs are listed there; raises AdapterError."""
        self._read(await self._client.get("/v1/programs", limit="1"), ProgramPage)

    async def archive(self, program_id: UUID) -> bool:
        """Retire every revision of a program; False where none was registered."""
        answer = await self._client.get("/v1/signatures", name=_signature_name(program_id))
        programs = [
            program
            for signature in self._read(answer, SignaturePage).items
            for program in await self._on(signature)
            if program.status != "archived"
        ]
        for program in programs:
            answer = await self._client.post(f"/v1/programs/{program.program_id}/archive")
            self._read(answer, ProgramDocument)
        return bool(programs)

    async def _on(self, signature: SignatureDocument) -> Sequence[ProgramDocument]:
        answer = await self._client.get(
            "/v1/programs", signature_id=signature.signature_id, limit=MOST_REVISIONS
        )
        return self._read(answer, ProgramPage).items

    async def _get(self, name: Any) -> ProgramDocument:
        """Find a program that somebody else registered there under this name."""
        found = await self._find(name) if isinstance(name, str) else None
        if found is None:
            message = f"config.remote_program: the remote Dspatch has no program {name!r}"
            raise AdapterError(ErrorType.PROGRAM_NOT_FOUND, message)
        return found

    async def _find(self, name: str) -> ProgramDocument | None:
        """Find the program of a name that is not archived."""
        answer = await self._client.get("/v1/programs", name=name)
        items = self._read(answer, ProgramPage).items
        return next((program for program in items if program.status != "archived"), None)

    async def _register(self, program: Program) -> ProgramDocument:
        body = {
            "name": _name(program),
            "signature_id": await self._register_signature(program),
            "module": program.module,
            "adapter": self._adapter,
            "config": program.config,
            "state": program.state,
            "description": f"{program.name}, revision {program.revision}, of another Dspatch.",
        }
        answer = await self._client.post("/v1/programs", body)
        if problem_of(answer).type == "/problems/name-taken":  # by another process, meanwhile
            return await self._get(body["name"])
        return self._read(answer, ProgramDocument)

    async def _register_signature(self, program: Program) -> str:
        body = {
            "name": _signature_name(program.program_id),
            "instructions": program.signature.instructions,
            "inputs": [field.as_document() for field in program.signature.inputs],
            "outputs": [field.as_document() for field in program.signature.outputs],
        }
        answer = await self._client.post("/v1/signatures", body)
        return self._read(answer, SignatureDocument).signature_id

    def _read(self, answer: Answer, model: type[Model]) -> Model:
        """Read an answer; what this Dspatch asks for by itself is never the caller's fault."""
        if is_good(answer):
            return read(answer, model)
        failure = refusal(answer, self._clock.now())
        if failure.type is ErrorType.INVALID_REQUEST:
            failure = AdapterError(ErrorType.UNSUPPORTED, failure.message, context=failure.context)
        raise failure


def _name(program: Program) -> str:
    return f"{program.name[:LONGEST_OF_NAME]}.{program.program_id.hex}.r{program.revision}"


def _signature_name(program_id: UUID) -> str:
    return f"program.{program_id.hex}"


def _ready(program: ProgramDocument) -> str:
    if program.status != "ready":
        reason = program.error or f"it is {program.status} there"
        message = f"the remote Dspatch cannot run the program: {reason}"
        raise AdapterError(ErrorType.UNSUPPORTED, message)
    return program.program_id
