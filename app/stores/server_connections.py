"""The connections that the server has for this role, and that are in use."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# What is kept for superusers is not ours; `reserved_connections` exists from version 16 on.
_COUNT = text("""
SELECT
    least(
        current_setting('max_connections')::int
            - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0),
        (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
        (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())
    ) AS available,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS in_use
""")


@dataclass(frozen=True)
class ServerConnections:
    """How many connections a role may have, at most, and how many the server has of all roles."""

    available: int
    in_use: int


class ServerConnectionStore:
    """Reads what the server says of its connections."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def count(self) -> ServerConnections:
        """Count them: within the limits of server, role and database."""
        return ServerConnections(*(await self._session.execute(_COUNT)).one())
