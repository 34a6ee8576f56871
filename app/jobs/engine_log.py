"""What the engine's library logs, as this house does: an outage is a line, and routine is none."""

import logging

from procrastinate.exceptions import ConnectorException
from typing_extensions import override


class OutageInALine(logging.Filter):
    """Leaves out the trace of what a database that is away has caused: the line names it."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        """Pass every record on."""
        if record.exc_info and isinstance(record.exc_info[1], ConnectorException):
            record.exc_info = None
        return True


_OUTAGE_IN_A_LINE = OutageInALine()


def quieten(worker: str) -> None:
    """Have the library, and its worker of this name, log as this house does; once is enough."""
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    for name in ("utils", "worker", f"worker.{worker}"):
        logging.getLogger(f"procrastinate.{name}").addFilter(_OUTAGE_IN_A_LINE)
