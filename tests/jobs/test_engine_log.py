"""What the engine's library may say, and how long it may be about it."""

import logging

import pytest
from procrastinate.exceptions import ConnectorException

from app.jobs.engine_log import quieten
from tests.jobs.conftest import QUEUE


@pytest.mark.parametrize("name", ["utils", "worker", f"worker.{QUEUE}"])
def test_an_outage_is_a_line(caplog: pytest.LogCaptureFixture, name: str) -> None:
    """Its trace would be the same each time; that of a bug stays."""
    quieten(QUEUE)
    log = logging.getLogger(f"procrastinate.{name}")
    for error in (ConnectorException("away"), ValueError("a bug")):
        log.error("it failed: %r", error, exc_info=error)
    outage, bug = caplog.records
    assert outage.getMessage() == "it failed: ConnectorException('away')"
    assert outage.exc_info is None
    assert bug.exc_info is not None


def test_routine_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """Each start and each job would be a line."""
    caplog.set_level(logging.DEBUG)
    quieten(QUEUE)
    logging.getLogger("procrastinate.worker").info("Starting worker")
    assert caplog.records == []
