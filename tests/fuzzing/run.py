"""Let schemathesis loose on a real server, with the mock adapter behind it, for so many seconds.

It makes requests out of the OpenAPI document, sound and unsound ones, alone and in sequences, and
fails on any server error and on any answer that the document does not describe.
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tests.support.server import WITH_KEYS, a_local_key, serving

CONFIG = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("hooks.py")


async def main(seconds: str) -> int:
    """Serve, fuzz, and give schemathesis's exit code."""
    with tempfile.TemporaryDirectory(prefix="dspatch-fuzzing-") as data_dir:
        key = await a_local_key(data_dir)
        async with serving("--local", "--data-dir", data_dir, environment=WITH_KEYS) as server:
            return await _fuzz(server.base_url, seconds, data_dir, key)


async def _fuzz(base_url: str, seconds: str, folder: str, key: str) -> int:
    schemathesis = Path(sys.executable).with_name("schemathesis")
    process = await asyncio.create_subprocess_exec(
        *(schemathesis, "--config-file", CONFIG, "run", f"{base_url}/openapi.json"),
        *("--checks", "all", "--max-time", seconds, "--seed", "1", "--warnings", "off"),
        *("--header", f"Authorization: Bearer {key}"),
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)},
    )
    return await process.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
