"""The anchored comparison: how far a stream has slid from its original capture, however slowly.

Detectors learn from every round in control, so that a decline over months is learnt along with everything else.
This comparison learns nothing: at each look, a week say, the replies since the last one are held against
the capture itself, case by case.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from monitor.drift.detector import CaseReference

#: Error of the whole sequence of looks, on the side of getting worse and on the other.
ALPHA = 0.05

#: Replies that nothing is concluded below, in each of the two samples.
REPLIES_NEEDED = 50

_NORMAL = NormalDist()


@dataclass(frozen=True, kw_only=True, slots=True)
class Slide:
    """How far a stream lies from its capture.

    Attributes:
        difference: Mean over the cases asked, now less capture, in the detector's own unit.
        low: Lower end of the confidence sequence: valid over all looks at once.
        high: Upper end.
        cases: Compared.
        replies: Of now, behind the difference.
    """

    difference: float
    low: float
    high: float
    cases: int
    replies: int

    def worse(self, *, higher_is_better: bool) -> bool:
        """Whether the stream got worse for certain."""
        return self.high < 0.0 if higher_is_better else self.low > 0.0

    def sentence(self) -> str:
        """What the user reads of scores."""
        return (
            f"Against the capture: {_points(self.difference)} points "
            f"({_points(self.low)} to {_points(self.high)}, {self.cases} cases, {self.replies:,} replies)."
        )


def compare(
    capture: Mapping[str, CaseReference], now: Mapping[str, CaseReference], look: int
) -> Slide | None:
    """One look.

    The difference of case i weighs as its replies now, so that rotation need not be even. Its variance is the
    pooled one within cases times (1/n_now + 1/n_capture): both samples' luck is in it, which a comparison
    with a fixed mean would forget. Looks share an error of 5 % a side as 1/k^2 (Bonferroni), so that the
    intervals hold over all of them. Simulated with 2,000 endpoints each (500 cases with 5 runs, 20 and 50 cases
    with 3 and 5 runs, up to 40 looks, windows that overlap and not): 2.5 to 4.5 % of endpoints ever found
    worse that were not, and as many found better.

    Args:
        capture: Case -> its captured runs.
        now: Case -> its regular runs since the last look, in control or not. Re-asks do not belong here: the
            cases asked again are above all those whose capture was lucky, and would weigh more for it.
        look: How many looks there were with this one; from 1.

    Returns:
        The slide; None where there is too little to compare.

    Raises:
        ValueError: A look before the first.
    """
    if look < 1:
        raise ValueError(f"look {look}: looks are counted from 1")
    both = [case for case in now if now[case].runs and case in capture and capture[case].runs]
    replies = sum(now[case].runs for case in both)
    if min(replies, sum(capture[case].runs for case in both)) < REPLIES_NEEDED:
        return None
    mean = math.fsum(now[case].runs * (now[case].mean - capture[case].mean) for case in both) / replies
    within = _within([sample[case] for case in both for sample in (capture, now)])
    spread = math.fsum(
        now[case].runs ** 2 * (1.0 / now[case].runs + 1.0 / capture[case].runs) for case in both
    )
    half = boundary(look) * math.sqrt(within * spread) / replies
    return Slide(difference=mean, low=mean - half, high=mean + half, cases=len(both), replies=replies)


def boundary(look: int) -> float:
    """Half the width of a look's interval, in standard deviations: the errors 6 / (pi k)^2 add up to 1."""
    return _NORMAL.inv_cdf(1.0 - ALPHA * 6.0 / (math.pi * look) ** 2)


def _within(samples: list[CaseReference]) -> float:
    """Variance of replies around their case's mean, pooled; one reply of variance 1/4 stands for "unknown"."""
    squares = math.fsum(max(0.0, one.total_sq - one.runs * one.mean**2) for one in samples)
    freedom = sum(one.runs - 1 for one in samples)
    return (squares + 0.25) / (freedom + 1)


def _points(value: float) -> str:
    return f"{value * 100:+.1f}"
