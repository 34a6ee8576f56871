"""Programs run in supervised child processes, spoken to by frames over a pair of sockets."""

from app.adapters.worker.adapter import WorkerAdapter

__all__ = ["WorkerAdapter"]
