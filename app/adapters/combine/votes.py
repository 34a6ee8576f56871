"""What several answers come to, field by field."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any


@dataclass(frozen=True)
class Vote:
    """The value of a field that counts, and the shares of it: which answers gave just that value.

    `agrees` has a truth for each answer, in order.
    """

    value: Any
    agrees: Sequence[bool]

    @property
    def agreement(self) -> float:
        """The share of the answers that gave this value, 0 to 1."""
        return round(sum(self.agrees) / len(self.agrees), 4)


def vote(values: Sequence[Any]) -> Vote:
    """Give the median of numbers, else the value given most often, else the first of those.

    The median of an even number is the lower of the middle two, so that it is always a value that
    was given and fits its type.
    """
    ballots = [json.dumps(value, sort_keys=True) for value in values]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        chosen = json.dumps(median_low(values))
    else:
        chosen = Counter(ballots).most_common(1)[0][0]
    agrees = [ballot == chosen for ballot in ballots]
    return Vote(values[agrees.index(True)], agrees)


def vote_by_field(answers: Sequence[Mapping[str, Any]]) -> Mapping[str, Vote]:
    """Vote on each field of answers that have the same fields."""
    return {name: vote([answer[name] for answer in answers]) for name in answers[0]}
