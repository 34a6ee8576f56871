"""The connections of this process to its database: opened with every limit, ended together."""

from typing import Any, TypeAlias

import asyncpg

from app.settings import DatabaseSettings, SettingsError

Link: TypeAlias = "asyncpg.Connection[Any]"

# What the address asks for, and the driver or the server does not know.
_WRONG_ADDRESS = (
    asyncpg.ClientConfigurationError,
    asyncpg.UndefinedObjectError,
    asyncpg.InvalidParameterValueError,
    asyncpg.CantChangeRuntimeParamError,
)


class Connections:
    """Opens connections to one database, and knows those that are open.

    The server limits each statement, wait for a lock and idle transaction. One that hangs limits
    nothing: an answer is waited for `hang_timeout_ms` longer, and TimeoutError says that it did
    not come; `is_patient` waits without end.
    """

    def __init__(self, settings: DatabaseSettings, *, is_patient: bool = False) -> None:
        if not settings.url:
            raise SettingsError("database.url: needed, unless --local brings a database of its own")
        url = settings.url.get_secret_value()
        self._dsn = url.replace("postgresql+asyncpg://", "postgresql://", 1)
        self._settings = settings
        answer_ms = settings.statement_timeout_ms + settings.hang_timeout_ms
        self._answer_s = None if is_patient else answer_ms / 1_000
        self._open: list[Link] = []

    async def open(self) -> Link:
        """Open a connection.

        Raises what the driver raises, and SettingsError where the address cannot be right.
        """
        longest = str(self._settings.statement_timeout_ms)
        limits = {
            "statement_timeout": longest,
            "lock_timeout": longest,  # holds where a migration lifts the other
            "idle_in_transaction_session_timeout": longest,
        }
        try:
            link = await asyncpg.connect(
                self._dsn,
                timeout=self._settings.pool_timeout_ms / 1_000,
                command_timeout=self._answer_s,
                server_settings=limits,
            )
        except _WRONG_ADDRESS as error:
            raise SettingsError(f"database.url: {error}") from None
        except (ValueError, IndexError):  # their words may hold a part of the password
            raise SettingsError("database.url: not an address of PostgreSQL") from None
        self._open = [one for one in self._open if not one.is_closed()] + [link]
        return link

    def close(self) -> None:
        """End every connection at once: one that hangs would not say goodbye."""
        for link in self._open:
            link.terminate()
