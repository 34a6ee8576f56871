"""Run the generated clients against a real server; `generate.sh` has made them.

The argument is the environment of the Python tools.
"""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx

from tests.support.factories import post_program
from tests.support.server import WITH_KEYS, a_local_key, serving

FOLDER = Path(__file__).parent
ANSWERS = {"outputs": {"answer": "Paris"}}
FAILS = {"error": {"type": "authentication", "message": "the key was refused"}}


def commands(environment: Path) -> Sequence[Sequence[str]]:
    """Give how each client is run, up to its arguments."""
    python = str(environment.absolute() / "bin" / "python")
    return [
        ["npx", "tsx", "openapi_typescript.ts"],
        ["npx", "tsx", "hey_api.ts"],
        [python, "openapi_python_client.py"],
        [python, "openapi_generator.py"],
    ]


async def main(environment: Path) -> None:
    """Serve two programs on the mock adapter, and let every client call both."""
    with tempfile.TemporaryDirectory(prefix="dspatch-clients-") as data_dir:
        await _call(environment, data_dir)


async def _call(environment: Path, data_dir: str) -> None:
    key = await a_local_key(data_dir)
    async with serving("--local", "--data-dir", data_dir, environment=WITH_KEYS) as server:
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=server.base_url, headers=headers) as client:
            answering = await post_program(client, ANSWERS, name="answers")
            failing = await post_program(client, FAILS, name="fails")
        for command in commands(environment):
            process = await asyncio.create_subprocess_exec(
                *command,
                server.base_url,
                answering["program_id"],
                failing["program_id"],
                key,
                cwd=FOLDER,
            )
            code = await process.wait()
            print(f"{command[-1]:30} {'ok' if code == 0 else 'failed'}")  # noqa: T201 - its report
            if code != 0:
                sys.exit(code)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
