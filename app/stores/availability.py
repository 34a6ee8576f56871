"""Which failures say that the database is away for now, and which that it refuses for good."""

import asyncpg

RETRY_AFTER_S = 1.0
"""After so long it is worth to ask again."""

# SQLSTATEs of a database that is away for now: connection exceptions, a login or a database that
# it does not know, too many connections or no disk, an operator's intervention (shutdown, crash,
# statement timeout), and a lock that does not come free.
_AWAY = ("08", "28", "3D", "53", "57", "55P03")

LOST = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the driver raises on a connection that is no good any more; the last, where a statement
comes between the server's last words and the end of the connection."""

# Of these, the ones by which the connection ends: what it did last is not known.
_ENDED = ("08", "57P")


def says_away(sqlstate: str) -> bool:
    """Tell whether the database says by this SQLSTATE that it is away."""
    return sqlstate.startswith(_AWAY)


def is_away(error: Exception) -> bool:
    """Tell whether the driver failed because the database is away."""
    if isinstance(error, asyncpg.PostgresError):
        return says_away(_sqlstate(error))
    # What the driver cannot encode is an InterfaceError too, and a ValueError.
    return isinstance(error, LOST) and not isinstance(error, ValueError)


def has_unknown_outcome(error: Exception) -> bool:
    """Tell whether a statement that the database did not answer may have been committed."""
    return not isinstance(error, asyncpg.PostgresError) or _sqlstate(error).startswith(_ENDED)


def _sqlstate(error: asyncpg.PostgresError) -> str:
    return error.sqlstate or ""
