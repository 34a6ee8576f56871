"""Say plainly when this Python is too old; runs on any Python, before anything is installed."""

import sys

NEEDED = (3, 11)

if sys.version_info[:2] < NEEDED:
    found = ".".join(str(part) for part in sys.version_info[:3])
    sys.exit(
        "Dspatch needs Python 3.11 or newer; this is Python "
        + found
        + ". Name another one: make PYTHON=python3.12 install"
    )
