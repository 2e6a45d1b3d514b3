"""A detector that compares the mean of a round with the mean of the capture."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from monitor.drift.detector import Reference, Round, State, Step, Verdict, VerdictKind

#: Drop of the mean that is called a change.
DROP = 0.2


class MeanDrop:
    """Changed where a round's mean lies 0.2 below the capture's; it keeps no state between rounds."""

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def fit(self, runs: Mapping[str, Sequence[float]]) -> Reference:
        """The mean over all runs."""
        values = [value for each in runs.values() for value in each]
        return Reference(prior={"mean": math.fsum(values) / len(values)} if values else {})

    def start(self) -> State:
        """Nothing but the version."""
        return {"v": 1}

    def update(self, state: State, reference: Reference, round: Round) -> Step:
        """Compares the means.

        Raises:
            ValueError: A value is not finite.
        """
        values = [one.value for one in round.observations]
        if not all(map(math.isfinite, values)):
            raise ValueError("a value is not finite")
        if not values or "mean" not in reference.prior:
            return Step(state=state, verdict=Verdict(kind=VerdictKind.LEARNING, threshold=DROP))
        drop = reference.prior["mean"] - math.fsum(values) / len(values)
        kind = VerdictKind.CHANGED if drop >= DROP else VerdictKind.STEADY
        return Step(state=state, verdict=Verdict(kind=kind, evidence=max(0.0, drop), threshold=DROP))
