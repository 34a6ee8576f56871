"""The adapter that has another Dspatch run programs, over HTTP."""

from app.adapters.remote.adapter import RemoteAdapter

__all__ = ["RemoteAdapter"]
