"""What the demo says when the server refuses it."""

import httpx
import pytest

from app.commands.console import RefusedError
from app.commands.demo import _execute


async def test_a_refused_execution_is_told_with_the_server_s_words() -> None:
    """An answer without a record ends the demo with a sentence that holds the problem."""
    problem = {"type": "/problems/program-not-ready", "detail": "The program is in error."}
    transport = httpx.MockTransport(lambda _: httpx.Response(409, json=problem))
    async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
        with pytest.raises(RefusedError, match=r"answered 409: .*The program is in error"):
            await _execute(client, "program", {"question": "?"})
