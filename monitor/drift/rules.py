"""Plain rules for people who want them, each with the rate of false alarms that it had in control.

A rule looks at one number of a round, its mean or a percentile, and knows nothing of which cases were asked. A mean
below 95 % of the baseline's fired in 325 of 1,000 rounds of 20 in control: therefore no rule stands without its rate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

#: Percent of the baseline at which a rule warns, and at which it is high.
WARNS, HIGH = 5.0, 10.0

#: Rounds that a rate is measured on at least.
ROUNDS_NEEDED = 100

_Z = NormalDist().inv_cdf(0.975)


class Level(StrEnum):
    """What a rule says of a round."""

    FINE = "fine"
    WARNING = "warning"
    HIGH = "high"


@dataclass(frozen=True, kw_only=True, slots=True)
class AbsoluteRule:
    """Fires where a round's number reaches a limit in the measure's own unit.

    Attributes:
        warns: Limit of the warning.
        high: Limit of the alarm, further out.
        higher_is_better: Which way is good.
    """

    warns: float
    high: float
    higher_is_better: bool

    def __post_init__(self) -> None:
        """Refuses limits in the wrong order.

        Raises:
            ValueError: A limit is not finite, or `high` is met before `warns`.
        """
        ordered = self.high <= self.warns if self.higher_is_better else self.high >= self.warns
        if not (math.isfinite(self.warns) and math.isfinite(self.high) and ordered):
            raise ValueError(f"a rule that warns at {self.warns!r} and is high at {self.high!r}")

    def judge(self, value: float) -> Level:
        """What the rule says of a round's number.

        Raises:
            ValueError: The number is not finite.
        """
        if not math.isfinite(value):
            raise ValueError(f"a round's number of {value!r}")
        if self._reaches(value, self.high):
            return Level.HIGH
        return Level.WARNING if self._reaches(value, self.warns) else Level.FINE

    def _reaches(self, value: float, limit: float) -> bool:
        return value <= limit if self.higher_is_better else value >= limit


def percent_rule(
    baseline: float, *, higher_is_better: bool, warns: float = WARNS, high: float = HIGH
) -> AbsoluteRule:
    """The rule that fires where a round's number is so many percent worse than the baseline's.

    Args:
        baseline: The baseline's number; positive.
        higher_is_better: Which way is good.
        warns: Percent at which it warns.
        high: Percent at which it is high.

    Raises:
        ValueError: A baseline that has no percents, or percents that are none.
    """
    if not (math.isfinite(baseline) and baseline > 0.0):
        raise ValueError(f"a baseline of {baseline!r} has no percents; use an absolute rule")
    if not 0.0 < warns <= high:
        raise ValueError(f"a rule that warns at {warns!r} % and is high at {high!r} %")
    sign = -1.0 if higher_is_better else 1.0
    return AbsoluteRule(
        warns=baseline * (1.0 + sign * warns / 100.0),
        high=baseline * (1.0 + sign * high / 100.0),
        higher_is_better=higher_is_better,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """How often a rule fires on rounds in control, as a share with its 95 % interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class FalseAlarms:
    """What a rule does while nothing is wrong.

    Attributes:
        rounds: In control, that it was measured on.
        warnings: Rounds at which it warns or is high.
        highs: Rounds at which it is high.
        incidents: Times that it began to be high.
    """

    rounds: int
    warnings: Rate
    highs: Rate
    incidents: int

    def sentence(self, rounds_per_day: float) -> str:
        """What stands beside the rule."""
        per_month = self.incidents / self.rounds * rounds_per_day * 30.0
        return (
            f"In {self.rounds:,} rounds in control this rule warned in {_thousandths(self.warnings)} "
            f"and was high in {_thousandths(self.highs)} of 1,000 rounds: "
            f"about {per_month:,.0f} false incidents per 30 days."
        )


def false_alarms(rule: AbsoluteRule, in_control: Sequence[float]) -> FalseAlarms | None:
    """How often a rule fires on rounds in control.

    Args:
        rule: The rule.
        in_control: The number of each round, in their order.

    Returns:
        None where there are fewer than `ROUNDS_NEEDED` rounds.

    Raises:
        ValueError: A number is not finite.
    """
    if len(in_control) < ROUNDS_NEEDED:
        return None
    levels = [rule.judge(value) for value in in_control]
    before = [Level.FINE, *levels[:-1]]
    return FalseAlarms(
        rounds=len(levels),
        warnings=_rate(sum(level is not Level.FINE for level in levels), len(levels)),
        highs=_rate(levels.count(Level.HIGH), len(levels)),
        incidents=sum(
            level is Level.HIGH and last is not Level.HIGH for level, last in zip(levels, before, strict=True)
        ),
    )


def _rate(fired: int, rounds: int) -> Rate:
    """A share with Wilson's interval (Wilson 1927)."""
    share, weight = fired / rounds, _Z * _Z / rounds
    middle = (share + weight / 2.0) / (1.0 + weight)
    half = _Z * math.sqrt(share * (1.0 - share) / rounds + weight / rounds / 4.0) / (1.0 + weight)
    return Rate(share=share, low=max(0.0, middle - half), high=min(1.0, middle + half))


def _thousandths(rate: Rate) -> str:
    return f"{rate.share * 1000:.0f} ({rate.low * 1000:.0f} to {rate.high * 1000:.0f})"
