"""What a round of a batch gathers: the sums of l of every stream and component, and the visits that wait."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.drift.grid import Array
from monitor.drift.laws import ABILITY, CHURN, GAIN, GAIN_DOUBLE, SLICE, SLICE_DOUBLE, WEIGHTS

Indices = NDArray[np.intp]

#: Columns of a table of l, and of the components.
_FIVE, _SLICE, _GAINS = (
    slice(ABILITY - 1, CHURN),
    slice(SLICE - 1, SLICE_DOUBLE),
    slice(GAIN - 1, GAIN_DOUBLE),
)
_FIRST = slice(0, len(WEIGHTS))


@dataclass(frozen=True, slots=True)
class Waiting:
    """Visits that wait for re-asks; arrays of one entry each."""

    streams: Indices
    cases: Indices
    passes: Array
    runs: Array
    first: Array
    learns: NDArray[np.bool_]


def joined(found: Sequence[Waiting]) -> Waiting | None:
    """All of them; None where nothing waits."""
    if not any(len(one.streams) for one in found):
        return None
    return Waiting(
        streams=np.concatenate([one.streams for one in found]),
        cases=np.concatenate([one.cases for one in found]),
        passes=np.concatenate([one.passes for one in found]),
        runs=np.concatenate([one.runs for one in found]),
        first=np.concatenate([one.first for one in found]),
        learns=np.concatenate([one.learns for one in found]),
    )


class Sums:
    """The sums of l of one round, of every stream and component."""

    def __init__(self, count: int, slices: Indices, components: int) -> None:
        self.slices = slices
        self.bets, self.gains = np.zeros((count, components)), np.zeros((count, 2))
        self.seen = np.zeros((count, components), dtype=bool)
        self.seen[:, _FIRST] = True

    def add(self, streams: Indices, cases: Indices, each: Array) -> None:
        """Adds l of single replies, shape (streams, cases, alternatives)."""
        total = each.sum(axis=1)
        self.bets[streams, _FIRST] += total[:, _FIVE]
        self.gains[streams] += total[:, _GAINS]
        if len(self.slices):
            for number, column in zip(self.slices[cases].tolist(), np.moveaxis(each, 1, 0), strict=True):
                columns = slice(len(WEIGHTS) + 2 * number, len(WEIGHTS) + 2 * number + 2)
                self.bets[streams, columns] += column[:, _SLICE]
                self.seen[streams, columns] = True

    def add_each(self, streams: Indices, cases: Indices, each: Array) -> None:
        """Adds l of visits, shape (visits, alternatives)."""
        np.add.at(self.bets[:, _FIRST], streams, each[:, _FIVE])
        np.add.at(self.gains, streams, each[:, _GAINS])
        if len(self.slices):
            first = len(WEIGHTS) + 2 * self.slices[cases]
            for n in range(2):
                np.add.at(self.bets, (streams, first + n), each[:, SLICE - 1 + n])
                self.seen[streams, first + n] = True
