"""The command line: a file per subcommand, their names here."""

import typer

from app.commands.batch import batch
from app.commands.check import check
from app.commands.cleanup import cleanup
from app.commands.demo import demo
from app.commands.keys import keys
from app.commands.migrate import migrate
from app.commands.serve import serve
from app.commands.worker import worker

COMMANDS = (serve, worker, migrate, check, cleanup, demo)
GROUPS = (keys, batch)

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
