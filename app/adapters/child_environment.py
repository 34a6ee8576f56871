"""What child processes are given of this one's surroundings: its modules, and few variables."""

import os
import sys
from collections.abc import Iterable, Mapping

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
"""The variables that every child sees; the others may hold secrets."""


def child_environment(environment: Mapping[str, str], names: Iterable[str] = ()) -> dict[str, str]:
    """Give the variables of a child: those that all see, and those that are named."""
    passed_on = {name: environment[name] for name in (*PASSED_ON, *names) if name in environment}
    # The working folder comes last: nothing in it can stand in for a module of ours.
    return {**passed_on, "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), os.curdir])}
