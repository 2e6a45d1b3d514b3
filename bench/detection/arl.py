"""Average run lengths and delays from recorded evidence, with their errors.

A path is the evidence of one stream that is never stopped. The first time it reaches a threshold h is when a stream
with that threshold would have alarmed, so one recording serves every h. Only its records (new maxima) are kept.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Path:
    """The running maximum of one path.

    Attributes:
        rounds: Length of the path.
        times: Rounds (from 1) at which a new maximum was reached, ascending.
        values: Those maxima, in nats, ascending.
    """

    rounds: int
    times: Sequence[int]
    values: Sequence[float]

    def passes(self, height: float) -> int | None:
        """The first round whose evidence reaches `height`; None if none does."""
        found = bisect_left(self.values, height)
        return self.times[found] if found < len(self.values) else None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A mean with its standard error, and over how many."""

    value: float
    error: float
    n: int


class Recorder:
    """Collects the records of one path."""

    def __init__(self, least: float = 1.0) -> None:
        self.least, self.rounds = least, 0
        self.times: list[int] = []
        self.values: list[float] = []

    def add(self, evidence: float) -> None:
        """One round more."""
        self.rounds += 1
        if evidence >= self.least and (not self.values or evidence > self.values[-1]):
            self.times.append(self.rounds)
            self.values.append(evidence)

    def path(self) -> Path:
        """What was recorded."""
        return Path(rounds=self.rounds, times=tuple(self.times), values=tuple(self.values))


def run_length(paths: Sequence[Path], height: float) -> Measured:
    """Rounds per alarm, each path watched to its first alarm or its end (maximum likelihood under censoring).

    The relative error of an exponential rate from d alarms is 1 / sqrt(d). Without any alarm the value is a lower
    limit: the rounds watched.
    """
    passed = [path.passes(height) for path in paths]
    alarms = sum(time is not None for time in passed)
    rounds = sum(time if time is not None else path.rounds for time, path in zip(passed, paths, strict=True))
    value = rounds / max(alarms, 1)
    return Measured(value=value, error=value / math.sqrt(max(alarms, 1)), n=alarms)


def height_for(paths: Sequence[Path], target: float) -> float:
    """The threshold at which the paths have this average run length, in nats."""
    low, high = 0.0, 60.0
    for _ in range(50):
        middle = (low + high) / 2.0
        low, high = (middle, high) if run_length(paths, middle).value < target else (low, middle)
    return high


def delay(
    paths: Sequence[Path], quiet: Sequence[Path], height: float, *, alarms: int = 0
) -> tuple[Measured, float]:
    """Mean rounds from the change to the alarm, over streams that were silent before, and the share undetected.

    Args:
        paths: Evidence from the change on.
        quiet: Evidence of the same streams before it.
        height: The threshold, in nats.
        alarms: Alarms that the threshold was calibrated with. Its own error, 1 / sqrt(alarms) nats, is added in
            quadrature, times the growth of the delay with the threshold; 0 where it was not calibrated.
    """
    found, missed = _delays(paths, quiet, height)
    mean = float(np.mean(found))
    error = float(np.std(found, ddof=1)) / math.sqrt(len(found)) if len(found) > 1 else math.inf
    if alarms:
        above, _ = _delays(paths, quiet, height + 0.3)
        below, _ = _delays(paths, quiet, height - 0.3)
        slope = (float(np.mean(above)) - float(np.mean(below))) / 0.6
        error = math.hypot(error, slope / math.sqrt(alarms))
    return Measured(value=mean, error=error, n=len(found)), missed / len(found)


def _delays(paths: Sequence[Path], quiet: Sequence[Path], height: float) -> tuple[list[float], int]:
    silent = [path for path, before in zip(paths, quiet, strict=True) if before.passes(height) is None]
    passed = [path.passes(height) for path in silent]
    rounds = [
        float(time if time is not None else path.rounds) for time, path in zip(passed, silent, strict=True)
    ]
    return rounds, sum(time is None for time in passed)


def paths_of(evidence: NDArray[np.float64]) -> list[Path]:
    """Paths of an array with one row a round and one column a stream."""
    found = []
    for column in evidence.T:
        highest = np.maximum.accumulate(column)
        new = np.flatnonzero(np.diff(highest, prepend=-np.inf) > 0)
        found.append(Path(rounds=len(column), times=(new + 1).tolist(), values=highest[new].tolist()))
    return found
