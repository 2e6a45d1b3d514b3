"""Levels: what each case usually measures, shrunk towards the pool, and how far a value lies off it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from monitor.drift.detector import CaseReference

#: Case levels count for something beside the pool's even where they look alike: this share of the variance
#: between replies of one case is left to them.
LEAST_BETWEEN = 0.01

#: Replies that vary by less than half a percent vary by nothing that anybody minds.
LEAST_SPREAD = 0.005

#: Residuals are told apart to this many digits; beyond it is the dust of floating point, which would tear
#: apart replies that are equal.
DIGITS = 6
#: Rounding to a whole number of parts is that to digits, in a sixth of the time.
PARTS = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Levels:
    """A pool of cases whose values vary around levels that vary around one mean (one-way random effects).

    Attributes:
        mean: Of the cases' levels.
        within: Variance of replies around their case's level.
        between: Variance of the levels.
    """

    mean: float
    within: float
    between: float

    def next(self, known: CaseReference) -> tuple[float, float]:
        """The value expected of a case's next reply, and its standard deviation.

        The posterior mean of the case's level; the variance of a reply and the posterior one of the level.
        """
        weight, spread = self.weighed(known.runs)
        return (self.between * known.total + self.within * self.mean) / weight, spread

    def weighed(self, runs: int) -> tuple[float, float]:
        """What `next` takes from the number of runs alone: the weight of all that is known, and the deviation."""
        weight = runs * self.between + self.within
        return weight, math.sqrt(self.within * (1.0 + self.between / weight))

    def lasting(self, runs: int) -> float:
        """The share of a residual's variance that is the error of its case's level, the same at each reply; 0..1."""
        return self.between / ((runs + 1) * self.between + self.within)

    def residual(self, value: float, known: CaseReference) -> float:
        """How far a value lies off what is expected of its case, in standard deviations."""
        expected, spread = self.next(known)
        return round((value - expected) / spread * PARTS) / PARTS

    def dump(self) -> dict[str, float]:
        """As part of a reference's prior."""
        return {"mean": self.mean, "within": self.within, "between": self.between}

    @classmethod
    def load(cls, prior: Mapping[str, float]) -> "Levels":
        """From what `dump` gave."""
        return cls(mean=prior["mean"], within=prior["within"], between=prior["between"])


def fit_levels(runs: Mapping[str, Sequence[float]]) -> Levels:
    """Moments of a capture (analysis of variance; Searle, Casella and McCulloch 1992, section 3.6).

    Where no case ran twice, half of the variance is taken to lie within cases.

    Args:
        runs: Case -> its values; at least one case has one.
    """
    means = {case: fmean(values) for case, values in runs.items() if values}
    squares = math.fsum((value - means[case]) ** 2 for case, values in runs.items() for value in values)
    freedom = sum(len(values) - 1 for values in runs.values() if values)
    apart = variance(means.values()) if len(means) > 1 else 0.0
    within = max(squares / freedom if freedom else apart / 2.0, LEAST_SPREAD**2)
    noise = within * fmean(1.0 / len(values) for values in runs.values() if values)
    between = max(apart - noise, LEAST_BETWEEN * within)
    return Levels(mean=fmean(means.values()), within=within, between=between)


def known_of(values: Sequence[float]) -> CaseReference:
    """The reference of these runs."""
    return CaseReference(
        runs=len(values), total=math.fsum(values), total_sq=math.fsum(value * value for value in values)
    )
