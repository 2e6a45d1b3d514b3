"""The pool of cases: how likely each is to be answered well, and what a drop of the whole pool looks like."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: No case is held more reliable than 1 - FLOOR: perfect runs are few, and trusting them too much is what
#: makes false alarms. A case expected to pass less often than FLOOR has nothing to lose and bears no
#: evidence: an estimate is never quite zero, so each of its failures would count as a little worse.
FLOOR = 0.02

#: The drop of the pool's mean that detectors are designed for: five points, or 60 % of a low mean.
DESIGN_DROP = 0.05
DESIGN_SHARE = 0.6

#: Five cases that every pool is fitted with, equally spaced in logit: without them a pool where everything
#: passed, or where each case ran once, would be taken for certain.
PSEUDO_CASES = (0.002, 0.043, 0.5, 0.957, 0.998)

_LARGEST_SHIFT = 12.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """What the cases of a capture have in common.

    Attributes:
        mean: Of all cases, 0..1.
        worth: Runs that knowing the pool is worth beside a case's own runs.
    """

    mean: float
    worth: float

    def expected(self, runs: int, total: float) -> float:
        """The value expected of a case with these runs, at most 1 - FLOOR.

        The Beta posterior's mean for passes and failures; for graded values the best linear estimate
        (Bühlmann credibility), which is the same formula.
        """
        return min(1.0 - FLOOR, (self.worth * self.mean + total) / (self.worth + runs))


def fit_pool(runs: Mapping[str, Sequence[float]]) -> Pool:
    """Moments of the capture and five pseudo-cases (Bühlmann and Straub 1970).

    Variance inside cases over variance between cases is the number of runs that the pool is worth.
    For a Beta pool of passes and failures that ratio is alpha + beta.

    Args:
        runs: Case key -> its values in 0..1; at least one case has one.
    """
    means = {case: math.fsum(values) / len(values) for case, values in runs.items() if values}
    inside = math.fsum((value - means[case]) ** 2 for case, values in runs.items() for value in values)
    freedom = sum(len(values) - 1 for values in runs.values() if values)
    inside += math.fsum(p * (1.0 - p) for p in PSEUDO_CASES)
    inside /= freedom + len(PSEUDO_CASES)

    size = len(means) + len(PSEUDO_CASES)
    mean = (math.fsum(means.values()) + math.fsum(PSEUDO_CASES)) / size
    between = math.fsum(
        (means[case] - mean) ** 2 - inside / len(values) for case, values in runs.items() if values
    )
    between += math.fsum((p - mean) ** 2 for p in PSEUDO_CASES)
    worth = inside / max(between / size, 0.001)
    return Pool(mean=mean, worth=min(100.0, max(0.1, worth)))


def shifted(p: float, shift: float) -> float:
    """A probability after its logit fell by `shift`."""
    odds = p / (1.0 - p) * math.exp(-shift)
    return odds / (1.0 + odds)


def design_drop(mean: float) -> float:
    """The drop of the mean to look for in a pool with this mean."""
    return min(DESIGN_DROP, DESIGN_SHARE * mean)


def shift_for(pool: Sequence[float], drop: float) -> float:
    """The common fall in logit that lowers the mean of these probabilities by `drop`; by bisection."""
    target = math.fsum(pool) / len(pool) - drop
    low, high = 0.0, _LARGEST_SHIFT
    for _ in range(50):
        middle = (low + high) / 2.0
        if math.fsum(shifted(p, middle) for p in pool) / len(pool) > target:
            low = middle
        else:
            high = middle
    return high


def evidence(x: float, p: float, shift: float) -> float:
    """What a score says for a fall of the logit against none, in nats.

    x ln(q/p) + (1 - x) ln((1-q)/(1-p)) with logit q = logit p - shift, in a form that needs one logarithm.

    Args:
        x: The score, 0..1.
        p: The value expected of its case.
        shift: The fall.
    """
    if p < FLOOR:
        return 0.0
    return -shift * x - math.log1p(p * math.expm1(-shift))


def information(pool: Sequence[float], shift: float) -> float:
    """Information of one reply about a fall, in nats: the mean of `evidence` after it (Kullback-Leibler)."""
    return math.fsum(evidence(shifted(p, shift), p, shift) for p in pool) / len(pool)
