"""What child processes are given of this one's surroundings: modules, few variables, the mark."""

import os
import sys
from collections.abc import Iterable, Mapping

from app.adapters.parentage import mark_of_children

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
"""The variables that every child sees; the others may hold secrets."""


def child_environment(environment: Mapping[str, str], names: Iterable[str] = ()) -> dict[str, str]:
    """Give the variables of a child: those that all see, those that are named, and whose it is."""
    passed_on = {name: environment[name] for name in (*PASSED_ON, *names) if name in environment}
    # The working folder comes last: nothing in it can stand in for a module of ours.
    path = os.pathsep.join([*filter(None, sys.path), os.curdir])
    return {**passed_on, **mark_of_children(), "PYTHONPATH": path}
