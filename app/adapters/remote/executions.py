"""Executions on another Dspatch: one for each call, ended there where nobody waits for it here."""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from app.adapters.base import ProgramCall, ProgramResult
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.remote.answers import (
    Document,
    ExecutionDocument,
    is_good,
    problem_of,
    read,
    refusal,
)
from app.adapters.remote.client import Answer, RemoteClient
from app.adapters.usage import Usage
from app.policies.clock import Clock
from app.telemetry import current_request_id

LONGEST_MS = 3_600_000
LONGEST_REQUEST_ID = 200
LOOKS = 3
LOOK_AGAIN_S = 0.5
"""How often, and after how long, an execution is looked for that is to be cancelled."""

logger = logging.getLogger(__name__)


class ExecutionPage(Document):
    """A page of executions."""

    items: list[ExecutionDocument]


class RemoteExecutions:
    """Has programs executed, and cancels what was left behind."""

    def __init__(
        self,
        client: RemoteClient,
        clock: Clock,
        new_key: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        self._client = client
        self._clock = clock
        self._new_key = new_key
        self._cancelling: set[asyncio.Task[None]] = set()

    async def run(self, program_id: str, call: ProgramCall, adapter: str) -> ProgramResult:
        """Execute once; its key makes it safe to send it twice. Raises AdapterError."""
        key = self._new_key()
        ids = {"Idempotency-Key": key, "X-Request-ID": _request_id(key)}
        path = f"/v1/programs/{program_id}/executions"
        call.told.usage = Usage(lm_calls=1)  # until we are told better
        try:
            answer = await self._client.execute(path, _body(call), ids)
        except asyncio.CancelledError:
            self._leave(program_id, ids["X-Request-ID"])
            raise
        if not is_good(answer):
            raise await self._failure(answer)
        record = read(answer, ExecutionDocument)
        if record.outputs is None:
            raise AdapterError(
                ErrorType.BACKEND_ERROR, "the remote Dspatch's answer has no outputs"
            )
        raw = record.outputs if record.raw_output is None else record.raw_output
        return ProgramResult(record.outputs, adapter, raw, record.spent, record.details)

    async def _failure(self, answer: Answer) -> AdapterError:
        """Say what went wrong, with what it cost and what the model said where a record tells."""
        failure = refusal(answer, self._clock.now())
        execution_id = problem_of(answer).execution_id
        if execution_id is None:
            return failure
        failure.context["execution_id"] = execution_id
        try:
            record = read(
                await self._client.get(f"/v1/executions/{execution_id}"), ExecutionDocument
            )
        except AdapterError as error:
            logger.warning("what the execution %s cost is not known: %s", execution_id, error)
            return failure
        failure.usage, failure.raw_output = record.spent, record.raw_output
        return failure

    def _leave(self, program_id: str, request_id: str) -> None:
        """Have an execution cancelled that nobody waits for: its key would let it run on."""
        task = asyncio.create_task(self._cancel(program_id, request_id), name="cancel remotely")
        self._cancelling.add(task)
        task.add_done_callback(self._cancelling.discard)

    async def _cancel(self, program_id: str, request_id: str) -> None:
        try:
            for _ in range(LOOKS):
                found = await self._find_running(program_id, request_id)
                if found is not None:
                    await self._client.post(f"/v1/executions/{found}/cancel")
                    return
                await self._clock.sleep(LOOK_AGAIN_S)
        except AdapterError as error:  # its timeout there ends it
            logger.warning("an execution could not be cancelled remotely: %s", error)

    async def _find_running(self, program_id: str, request_id: str) -> str | None:
        answer = await self._client.get(
            "/v1/executions", program_id=program_id, status="running", limit="200"
        )
        if not is_good(answer):
            raise refusal(answer, self._clock.now())
        items = read(answer, ExecutionPage).items
        return next((of.execution_id for of in items if of.request_id == request_id), None)

    async def close(self) -> None:
        """Return when what was left behind is cancelled, or cannot be."""
        await asyncio.gather(*self._cancelling)


def _body(call: ProgramCall) -> Mapping[str, Any]:
    """Ask for one attempt, within the time that is left here: retries are made here."""
    milliseconds = max(1, math.floor(min(call.seconds * 1_000, LONGEST_MS)))
    options = {
        "timeout": milliseconds,
        "deadline_ms": milliseconds,
        "max_retries": 0,
        "max_repairs": 0,
        "config": call.config,
    }
    return {"inputs": call.inputs, "execution_options": options}


def _request_id(key: str) -> str:
    """Name the run after the request that it is for, and after itself."""
    of_ours = current_request_id.get() or "dspatch"
    return f"{of_ours[: LONGEST_REQUEST_ID - len(key) - 1]}.{key}"
