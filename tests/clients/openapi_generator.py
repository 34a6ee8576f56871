"""One execution and one failure through the Python client of openapi-generator."""

import sys
from uuid import UUID

from dspatch_api import ApiClient, Configuration, ExecutionCreate, ExecutionsApi, Problem
from dspatch_api.exceptions import ServiceException


def main(base_url: str, answering: str, failing: str, key: str) -> None:
    """Call both programs, and compare what comes back."""
    api = ExecutionsApi(ApiClient(Configuration(host=base_url, access_token=key)))
    body = ExecutionCreate(inputs={"question": "What is the capital of France?"})

    answered = api.execute_program(UUID(answering), body)
    assert answered.status == "completed"
    assert answered.outputs == {"answer": "Paris"}

    try:
        api.execute_program(UUID(failing), body)
    except ServiceException as failure:
        problem = failure.data
        assert isinstance(problem, Problem)
        assert (problem.status, problem.type) == (502, "/problems/execution-failed")
        assert problem.execution_id
    else:
        raise AssertionError("the failing program did not fail")


main(*sys.argv[1:])
