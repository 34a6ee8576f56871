"""Check of operators: whether the database has connections for all processes."""

from collections.abc import Mapping

from app.actions.health_monitoring.check import CheckStatus, Finding, Tools


async def look_at_connections(tools: Tools, per_process: Mapping[str, int]) -> Finding:
    """Hold what a process opens at most, `per_process` by purpose, against what there is for us.

    Too few for one process are an error; too few for one more than those that live, as while one
    is replaced by another, are a warning.
    """
    async with tools.database.transaction() as tx:
        server = await tx.connections.count()
        processes = await tx.processes.count_live()
    one = sum(per_process.values())
    result = {
        "available": server.available,
        "in_use": server.in_use,
        "per_process": per_process,
        "per_process_total": one,
        "live_processes": processes,
        "needed": one * processes,
    }
    if one > server.available:
        error = f"one process opens up to {one} connections, the database has {server.available}"
        return Finding(CheckStatus.ERROR, result, error)
    if one * (processes + 1) > server.available:
        error = (
            f"{processes} processes and one more open up to {one * (processes + 1)} connections, "
            f"the database has {server.available}"
        )
        return Finding(CheckStatus.WARNING, result, error)
    return Finding(CheckStatus.HEALTHY, result)
