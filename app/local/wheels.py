"""Finds what the optional wheels carry, without importing them."""

from importlib.util import find_spec
from pathlib import Path

from app.local.errors import LocalStackError


def folder_of(package: str) -> Path:
    """Give the folder of an installed top-level package; LocalStackError where there is none."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise LocalStackError(
            f"The package {package} is not installed:"
            ' run "make install" in a checkout, or pip install "dspatch[local]".'
        )
    return Path(spec.submodule_search_locations[0])
