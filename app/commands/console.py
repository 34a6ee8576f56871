"""How commands speak to people: results on standard output, refusals as one plain sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from app.database import SchemaError
from app.errors import DspatchError
from app.local.errors import LocalStackError
from app.settings import SettingsError

out = Console()
err = Console(stderr=True)

BAD_NEWS = 1
WRONG_USE = 2


class RefusedError(Exception):
    """The command cannot do this; the message says why."""


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what an operator can mend into a sentence and an exit code, without a trace."""
    try:
        yield
    except SettingsError as error:
        raise _exit(str(error), WRONG_USE) from None
    except (RefusedError, SchemaError, LocalStackError, DspatchError) as error:
        raise _exit(str(error), BAD_NEWS) from None


def _exit(message: str, code: int) -> typer.Exit:
    err.print(f"dspatch: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(code)
