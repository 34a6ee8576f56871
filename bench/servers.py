"""The servers that are measured, each under the same settings: `python -m bench.servers <way>`."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import BaseModel, SecretStr
from typing_extensions import override

from app.actions.program_catalogue import ProgramCatalogue, RunnableProgram
from app.actions.program_execution import ProgramExecution
from app.actions.program_execution.records import ExecutionRecords, RecordRules
from app.actions.program_execution.runs import Runs
from app.database import Database
from app.main import create_app
from app.models.idempotency_keys import Claim
from app.models.ids import Ids
from app.policies.clock import SystemClock
from app.policies.shield import Shield
from app.runtime import VERSION, Runtime, open_runtime
from app.settings import AuthSettings, DatabaseSettings, Settings
from app.stores.recorder import Recorder
from app.stores.recorder.writes import End
from app.telemetry.export import exporting
from app.telemetry.logs import configure_logging
from app.telemetry.masking import Mask

PATIENCE_S = 60.0
"""As long anything waits for a connection: a slow way is measured, not refused."""


class BareBody(BaseModel):
    """What the bare route takes."""

    inputs: dict[str, Any]


def bare_app() -> FastAPI:
    """Make an application whose one route answers from memory."""
    app = FastAPI()

    @app.post("/bare")
    async def bare(body: BareBody) -> dict[str, Any]:
        return {"outputs": {"answer": "Paris"}, "inputs": body.inputs}

    return app


class OrmRecorder(Recorder):
    """Writes each beginning and each end in an ORM transaction of its own, as it once was."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.open_connection, database.make_partitions, SystemClock())
        self._database = database

    @override
    async def begin(
        self,
        row: Mapping[str, Any],
        left: End,
        within_s: float,
        claim: Claim | None = None,
    ) -> datetime:
        values = {"metadata_" if name == "metadata" else name: row[name] for name in row}
        async with self._database.transaction() as tx:
            await tx.idempotency_keys.claim(claim, row["id"])
            execution_id = await tx.executions.add_running(values)
            return (await tx.executions.get(execution_id)).created_at

    @override
    async def finish(self, execution_id: UUID, end: End, within_s: float) -> datetime | None:
        async with self._database.transaction() as tx:
            ended = await tx.executions.finish(execution_id, end.values)
            assert ended is not None  # noqa: S101 - nobody else ends it
            await tx.programs.count_executions([ended.program_id])
        end.written()
        return ended.finished_at


class ForgetfulCatalogue(ProgramCatalogue):
    """Reads a program for each execution."""

    @override
    async def recall(self, program_id: UUID, revision: int | None = None) -> RunnableProgram:
        self.forget_all()
        return await super().recall(program_id, revision)


def by_orm(runtime: Runtime) -> Runtime:
    """Put the ORM's way of reading and recording into a runtime."""
    database, clock = runtime.database, SystemClock()
    ids = Ids(clock)
    owner_id = ids.new()
    records = ExecutionRecords(
        database, OrmRecorder(database), ids, Shield(), runtime.metrics, RecordRules(PATIENCE_S)
    )
    execute = ProgramExecution(
        ForgetfulCatalogue(database, clock),
        runtime.adapters,
        records,
        Runs(lambda: owner_id),
        clock,
        Random(0),  # noqa: S311 - jitter
    )
    return replace(runtime, execute_program=execute)


async def serve(app: FastAPI, port: int) -> None:
    """Serve with uvloop and httptools, without an access log."""
    config = uvicorn.Config(
        app,
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_config=None,
    )
    await uvicorn.Server(config).serve()


async def main(way: str, port: int, url: str) -> None:
    """Serve one way until the process is told to end."""
    if way == "bare":
        await serve(bare_app(), port)
        return
    settings = Settings(
        database=DatabaseSettings(url=SecretStr(url), pool_timeout_ms=int(PATIENCE_S * 1_000)),
        auth=AuthSettings(mode="none"),
    )
    configure_logging(settings.logging, Mask())
    async with exporting(VERSION, os.environ, Mask()), open_runtime(settings) as runtime:
        used = by_orm(runtime) if way == "orm" else runtime
        await serve(create_app(settings, used), port)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
