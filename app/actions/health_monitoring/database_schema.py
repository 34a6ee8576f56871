"""Check of operators: whether the schema is the one that this program is written for."""

from app.actions.health_monitoring.check import CheckStatus, Finding, Tools
from app.database import SchemaError


async def look_at_schema(tools: Tools) -> Finding:
    """Compare the schema's revision; `dspatch serve` refuses another one."""
    try:
        await tools.database.require_head()
    except SchemaError as error:
        return Finding(CheckStatus.ERROR, {"at_head": False}, str(error))
    return Finding(CheckStatus.HEALTHY, {"at_head": True})
