"""All tests of the suite, to be imported into a module of tests."""

import pytest

BEHAVIOURS = (
    "executes",
    "times_out",
    "cancels",
    "error_mapping",
    "unknown_program",
    "big_values",
    "nasty_strings",
    "concurrent_calls",
    "program_life",
    "prepares_on_demand",
    "health",
    "statistics",
    "cleanup",
)
"""A file each."""

pytest.register_assert_rewrite(*(f"conformance.{name}" for name in BEHAVIOURS))

from conformance.big_values import *  # noqa: E402
from conformance.cancels import *  # noqa: E402
from conformance.cleanup import *  # noqa: E402
from conformance.concurrent_calls import *  # noqa: E402
from conformance.error_mapping import *  # noqa: E402
from conformance.executes import *  # noqa: E402
from conformance.health import *  # noqa: E402
from conformance.nasty_strings import *  # noqa: E402
from conformance.prepares_on_demand import *  # noqa: E402
from conformance.program_life import *  # noqa: E402
from conformance.statistics import *  # noqa: E402
from conformance.times_out import *  # noqa: E402
from conformance.unknown_program import *  # noqa: E402
