"""The names that have come in a batch, in little memory."""

from array import array
from collections import defaultdict
from functools import partial

SHARDS = 1 << 13
"""More would take more memory than the names of a million items, fewer more time."""


class Names:
    """Knows which names it has met, by 64 bits of each: eight bytes a name, however long.

    Of a million names, two pass for one another in one of 37 million batches.
    """

    def __init__(self) -> None:
        self._shards: defaultdict[int, array[int]] = defaultdict(partial(array, "q"))

    def is_new(self, name: str) -> bool:
        """Tell whether a name has not come before; from now on it has."""
        mark = hash(name)
        shard = self._shards[mark % SHARDS]
        if mark in shard:
            return False
        shard.append(mark)
        return True
