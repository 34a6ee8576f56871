"""The one error of this room."""


class LocalStackError(Exception):
    """The local stack cannot run; the message is a sentence for the person who started it."""
