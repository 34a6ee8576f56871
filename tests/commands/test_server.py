"""What a serving process asks of its machine."""

import resource
from collections.abc import Iterator

import pytest

from app.commands.server import allow_descriptors


@pytest.fixture
def hard() -> Iterator[int]:
    """Give the most descriptors that this process may have; it has half of them meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard // 2, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_descriptors_are_allowed_as_far_as_they_go(hard: int) -> None:
    """More than there are where that may be, never less."""
    for wanted, expected in ((1, hard // 2), (hard // 2 + 1, hard // 2 + 1), (hard + 1, hard)):
        allow_descriptors(wanted)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (expected, hard)
