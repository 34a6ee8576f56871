"""Signatures out of Python modules, loaded in a child process: an import runs code (ADR 0014)."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

from app.adapters.child_environment import child_environment
from app.signatures.definition import SignatureDefinition
from app.signatures.faults import SignatureError

CHILD = "app.adapters.dspy.modules"
LONGEST_ANSWER = 4 * 1024 * 1024
TIMEOUT_S = 30.0
AT_ONCE = 2
"""Children that load at the same time: each imports DSPy, which takes seconds of CPU."""

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


class ModuleLoadingError(Exception):
    """A module gives no signature; `is_loaded` tells whether it could be imported at all."""

    def __init__(self, message: str, *, is_loaded: bool = False) -> None:
        super().__init__(message)
        self.is_loaded = is_loaded


class SignatureModules:
    """Loads signatures by `package.module:Name` from the packages that the operator allows."""

    def __init__(
        self,
        packages: Sequence[str],
        environment: Mapping[str, str],
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._packages = packages
        self._environment = environment
        self._timeout_s = timeout_s
        self._places = asyncio.Semaphore(AT_ONCE)

    async def load(self, reference: str) -> SignatureDefinition:
        """Load a signature, in a child process that ends with it; raises ModuleLoadingError.

        A name outside the allowed packages is refused before anything is started.
        """
        self._require_allowed(reference)
        async with self._places:
            return _definition(await self._ask_child(reference))

    def _require_allowed(self, reference: str) -> None:
        if _REFERENCE.fullmatch(reference) is None:
            raise ModuleLoadingError("a signature module is named package.module:Name")
        path = reference.partition(":")[0]
        if not any(f"{path}.".startswith(f"{package}.") for package in self._packages):
            raise ModuleLoadingError(f"{path} is in no package of the setting [imports] packages")

    async def _ask_child(self, reference: str) -> bytes:
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as pipe:
            try:
                child = await self._started(reference, writing)
            finally:
                os.close(writing)
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await _read_line(pipe)
            except TimeoutError:
                limit_ms = round(self._timeout_s * 1_000)
                raise ModuleLoadingError(f"it did not load within {limit_ms} ms") from None
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                await child.wait()

    async def _started(self, reference: str, writing: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", CHILD, reference, str(writing)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=(writing,),
            start_new_session=True,
            env=child_environment(self._environment),
        )


async def _read_line(pipe: IO[bytes]) -> bytes:
    reader = asyncio.StreamReader(limit=LONGEST_ANSWER)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        return await reader.readline()
    except ValueError:
        raise ModuleLoadingError("its answer is too long") from None
    finally:
        transport.close()


def _definition(line: bytes) -> SignatureDefinition:
    """Read the child's answer; without a whole line it ended before it could give one."""
    if not line.endswith(b"\n"):
        raise ModuleLoadingError("importing it ended the process")
    match _parsed(line):
        case {"error": str(error), "loaded": bool(is_loaded)}:
            raise ModuleLoadingError(error, is_loaded=is_loaded)
        case {"inputs": list(inputs), "outputs": list(outputs), "instructions": str(instructions)}:
            return _checked(inputs, outputs, instructions)
        case _:
            raise ModuleLoadingError("its process gave no answer of ours")


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _checked(inputs: list[Any], outputs: list[Any], instructions: str) -> SignatureDefinition:
    try:
        return SignatureDefinition.from_documents(inputs, outputs, instructions)
    except SignatureError as error:
        raise ModuleLoadingError(str(error), is_loaded=True) from None
