"""The `dspatch` command: a file per subcommand in `app/commands`, their names here."""

import gc

import typer

from app.commands.demo import demo
from app.commands.keys import keys
from app.commands.migrate import migrate
from app.commands.serve import serve
from app.commands.worker import worker

COMMANDS = (serve, worker, migrate, demo)
GROUPS = (keys,)

cli = typer.Typer(
    name="dspatch",
    help="The production runtime for DSPy programs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in COMMANDS:
    cli.command()(command)
for group in GROUPS:
    cli.add_typer(group)


def main() -> None:
    """Run the command line.

    At its end the interpreter frees everything one by one; that it searches all modules for
    cycles besides would take a server half a second of a processor after its last answer.
    """
    try:
        cli()
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
