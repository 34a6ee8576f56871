"""One execution and one failure through the client of openapi-python-client."""

import sys
from uuid import UUID

from dspatch_client import AuthenticatedClient
from dspatch_client.api.executions import execute_program
from dspatch_client.models import (
    Execution,
    ExecutionCreate,
    ExecutionCreateInputs,
    ExecutionStatus,
    Problem,
)


def main(base_url: str, answering: str, failing: str, key: str) -> None:
    """Call both programs, and compare what comes back."""
    client = AuthenticatedClient(base_url, token=key)
    inputs = ExecutionCreateInputs.from_dict({"question": "What is the capital of France?"})
    body = ExecutionCreate(inputs=inputs)

    answered = execute_program.sync(UUID(answering), client=client, body=body)
    assert isinstance(answered, Execution)
    assert answered.status is ExecutionStatus.COMPLETED
    assert answered.to_dict()["outputs"] == {"answer": "Paris"}

    failed = execute_program.sync(UUID(failing), client=client, body=body)
    assert isinstance(failed, Problem)
    assert (failed.status, failed.type_) == (502, "/problems/execution-failed")
    assert failed.execution_id


main(*sys.argv[1:])
