"""The options that commands share."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None, typer.Option("--config", help="Settings file; DSPATCH_* variables win over it.")
]
Local = Annotated[
    bool,
    typer.Option(
        "--local",
        help="Bring a PostgreSQL (and, where no model is set, a small model) of its own.",
    ),
]
LocalDatabase = Annotated[
    bool,
    typer.Option("--local", help="Use the PostgreSQL that `serve --local` has in --data-dir."),
]
DataDir = Annotated[
    Path, typer.Option("--data-dir", help="Where the local PostgreSQL keeps its files.")
]

AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]

DEFAULT_DATA_DIR = Path(".dspatch")
