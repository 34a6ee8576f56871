"""Check: a round trip to the database, and the pool of connections that requests share."""

from app.actions.health_monitoring.check import CheckStatus, Finding, Tools
from app.errors import DatabaseUnavailableError


async def look_at_database(tools: Tools) -> Finding:
    """Ask the database for its version, by a connection that no request can take."""
    began = tools.clock.monotonic()
    counts = tools.pool()
    pool = {
        "size": sum(counts.values()),
        "checked_out": counts["checked_out"],
        "waiting": tools.waiting(),
    }
    try:
        version = await tools.database.server_version()
    except DatabaseUnavailableError as error:
        away = {"status": "unavailable", "latency_ms": None, "pool": pool, "server_version": None}
        return Finding(CheckStatus.ERROR, away, error.detail)
    latency_ms = (tools.clock.monotonic() - began) * 1_000
    result = {
        "status": "connected",
        "latency_ms": latency_ms,
        "pool": pool,
        "server_version": version,
    }
    return Finding(CheckStatus.HEALTHY, result)
