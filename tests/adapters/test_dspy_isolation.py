"""What the `dspy` adapter does not do: import early, import litellm, or go elsewhere."""

import json
import subprocess
import sys
from typing import Any

SCRIPT = """
import asyncio, json, os, sys

os.environ.pop("LITELLM_LOCAL_MODEL_COST_MAP", None)
os.environ["HTTP_PROXY"] = os.environ["http_proxy"] = "http://127.0.0.1:9"
visited = set()

def watch(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        visited.add(arguments[1][1])
    if event == "socket.getaddrinfo":
        visited.add(str(arguments[0]))

sys.addaudithook(watch)

from app.adapters.registry import AdapterRegistry
from app.adapters.setup import AdapterSetup
from app.settings import LMSettings
from tests.adapters.programs import a_call, a_program
from tests.support.model_server import ModelServer

async def main():
    async with ModelServer() as server:
        lms = {"main": LMSettings(model="openai/small", api_base=server.base_url)}
        registry = AdapterRegistry.from_settings({}, AdapterSetup("", lms=lms, environment={}))
        early = "dspy" in sys.modules
        adapter = registry.get("dspy")
        for module in ("predict", "chain_of_thought"):
            await adapter.execute_program(a_call(a_program(module=module)))
        await registry.cleanup()
        port = int(server.base_url.split(":")[2].split("/")[0])
    print(json.dumps({
        "early": early,
        "litellm": "litellm" in sys.modules,
        "openai": "openai" in sys.modules,
        "elsewhere": sorted(map(str, visited - {port})),
    }))

asyncio.run(main())
"""


def in_a_process_of_its_own() -> Any:
    """Run programs in a fresh interpreter, and say what it imported and where it went."""
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the command is ours
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_stays_at_home() -> None:
    """DSPy comes with the first program, litellm never, and only the LM's own server is asked."""
    assert in_a_process_of_its_own() == {
        "early": False,
        "litellm": False,
        "openai": False,
        "elsewhere": [],
    }
