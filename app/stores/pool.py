"""The pool of connections: who waits for one, and that the one handed out is alive."""

from time import monotonic
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, PoolProxiedConnection
from typing_extensions import override

PING_AFTER_S = 0.1
"""So long a connection may have been idle and is not asked: a ping takes three round trips."""

_USED_AT = "used_at"


class Pool(AsyncAdaptedQueuePool):
    """A pool that counts who waits for one of its connections, free or to be opened."""

    waiting = 0

    @override
    def connect(self) -> PoolProxiedConnection:
        self.waiting += 1
        try:
            return super().connect()
        finally:
            self.waiting -= 1


def hand_out_the_living(engine: AsyncEngine) -> None:
    """Have a pool replace its connections when it finds that the server has closed one.

    A server that goes tells us so; one that is silent, or something between that has forgotten the
    connection, is found by a ping where the connection was idle.
    """
    event.listen(engine.sync_engine, "checkin", _note_use)
    event.listen(engine.sync_engine, "checkout", _require_alive)


def _note_use(_connection: object, entry: ConnectionPoolEntry) -> None:
    entry.info[_USED_AT] = monotonic()


def _require_alive(connection: Any, entry: ConnectionPoolEntry, _handed_out: object) -> None:
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError("the server has closed it")
    used_at = entry.info.get(_USED_AT)
    if used_at is None or monotonic() - used_at < PING_AFTER_S:
        return
    try:
        connection.ping()
    except connection.dbapi.Error as error:
        raise InvalidatePoolError("it does not answer") from error
