"""The pages that tell how: their commands are run, and answer what the pages say."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

HOWTO = Path(__file__).parent.parent / "docs" / "howto"
BLOCKS = re.compile(r"```sh\n(curl .*?)```(?:\n\n```json\n(.*?)```)?", re.DOTALL)


class Example(NamedTuple):
    """A command of a page, and the part of its answer that the page shows, if any."""

    command: str
    shown: Any

    async def run(self, client: httpx.AsyncClient, **ids: str) -> httpx.Response:
        """Send what the command would send."""
        command = self.command
        for name, value in ids.items():
            command = command.replace(name, value)
        _, _, url, *options = shlex.split(command)
        content = options[options.index("-d") + 1] if "-d" in options else None
        headers = {"Content-Type": "application/json"} if content else {}
        method = "POST" if content else "GET"
        return await client.request(method, url, content=content, headers=headers)


def examples(page: str) -> Iterator[Example]:
    """Give the examples of a page, in order."""
    text = (HOWTO / f"{page}.md").read_text(encoding="utf-8")
    for command, shown in BLOCKS.findall(text):
        yield Example(command, json.loads(shown) if shown else {})


def has(found: Any, shown: Any) -> bool:
    """Tell whether an answer has all that a page shows of it."""
    if isinstance(shown, dict):
        return all(key in found and has(found[key], value) for key, value in shown.items())
    return bool(found == shown)


@pytest.mark.parametrize("page", ["check-a-signature"])
async def test_examples(page: str, client: httpx.AsyncClient) -> None:
    """Each command succeeds, and its answer has what stands below it."""
    body = {"name": "answer_question", "notation": "question -> answer, sure: probability"}
    signature_id = (await client.post("/v1/signatures", json=body)).json()["signature_id"]
    found = list(examples(page))
    assert found
    for example in found:
        answer = await example.run(client, SIGNATURE_ID=signature_id)
        assert answer.is_success, (example.command, answer.text)
        assert has(answer.json(), example.shown), (example.command, answer.text)
