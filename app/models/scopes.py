"""What the holder of a key may do."""

from enum import StrEnum


class Scope(StrEnum):
    """One word of what a key allows."""

    READ = "read"
    """Every GET, and what only looks: checks of values, validation, dry runs."""
    EXECUTE = "execute"
    """Executions and batches, and reading those and programs."""
    MANAGE = "manage"
    """Signatures and programs, and everything of `read`."""
    ADMIN = "admin"
    """Everything."""
