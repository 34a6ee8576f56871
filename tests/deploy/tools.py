"""Where the programs are that read what we deploy."""

import os
import shutil
import sys
from pathlib import Path


def find_tool(name: str) -> str | None:
    """Give the path of a program, of this environment before all others, or None."""
    own = str(Path(sys.executable).parent)
    return shutil.which(name, path=os.pathsep.join([own, os.environ.get("PATH", "")]))
