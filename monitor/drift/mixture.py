"""A Shiryaev-Roberts mixture: the sums of its components, and since when each of them gathers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import exp, expm1, log1p
from typing import Any, NamedTuple

from monitor.drift.effect import Interval, Trail
from monitor.drift.evidence import CEILING

_TOP = math.log(CEILING)

#: Columns of the table: ln(1 + S); the component's sum of l since its estimated start, and that start in
#: seconds of the epoch; and since then replies, the sum of their differences, and the sum of squares.
HELD, GATHERED, SINCE, REPLIES, TOTAL, TOTAL_SQ = range(6)

#: Numbers are kept to five digits; a whole number over a power of ten is the shortest one to write down.
_SCALE = 1e5

_NOTHING: Sequence[float] = (0.0,) * 6


class Gained(NamedTuple):
    """What one round brings to a mixture.

    Attributes:
        bets: The sum of l of each component.
        seen: Whether the round had a reply that the component speaks of, one each; None if all had.
        counts: Whether the round is one of the schedule; a follow-up adds evidence and no time.
        replies: Replies with a difference from their reference.
        total: Sum of these differences.
        total_sq: Sum of their squares.
    """

    bets: Sequence[float]
    seen: Sequence[bool] | None
    counts: bool
    replies: int
    total: float
    total_sq: float


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """The state of a mixture, one row for each component; see the names of the columns.

    Plain numbers: seven components are too few for arrays to be worth their overhead.
    """

    rows: Sequence[Sequence[float]]

    @classmethod
    def empty(cls, components: int) -> "Mixture":
        """That of a stream that has seen nothing: all S are 0."""
        return cls([_NOTHING] * components)

    def rolled(self, at: datetime, gained: Gained) -> "Mixture":
        """S <- min((1 + S) exp(sum of l over the round), 1e200), and S exp(sum of l) for a follow-up.

        E S is at most the number of rounds while nothing has changed (Roberts 1966; Shin, Ramdas and Rinaldo:
        e-detectors). A component that the round says nothing of stands still: otherwise a slice that is never
        asked would gather a round's worth each round, for nothing.

        The estimated start of a component is the round after which its sum of l up to now is greatest: where
        Page's CUSUM last left zero (Hinkley 1970).
        """
        now, seen = round(at.timestamp(), 5), gained.seen
        if seen is None:
            return Mixture(
                [_rolled(row, bet, now, gained) for row, bet in zip(self.rows, gained.bets, strict=True)]
            )
        return Mixture(
            [
                _rolled(row, bet, now, gained) if spoken else row
                for row, bet, spoken in zip(self.rows, gained.bets, seen, strict=True)
            ]
        )

    def shares(self, weights: Sequence[float]) -> list[float]:
        """Each component's w S; the last ones where there are fewer weights than components."""
        rows = self.rows[-len(weights) :]
        return [weight * expm1(row[HELD]) for weight, row in zip(weights, rows, strict=True)]

    def widened(self, components: int) -> "Mixture":
        """With more components, which start from nothing."""
        return Mixture([*self.rows, *[_NOTHING] * (components - len(self.rows))])

    def without(self, told: slice) -> "Mixture":
        """With these components at nothing."""
        rows = list(self.rows)
        rows[told] = [_NOTHING] * len(rows[told])
        return Mixture(rows)

    def dump(self) -> list[list[float]]:
        """As plain JSON."""
        return [list(row) for row in self.rows]

    @classmethod
    def load(cls, dumped: Sequence[Sequence[float]]) -> "Mixture":
        """From what `dump` gave."""
        return cls(dumped)


def statistic(shares: Sequence[float]) -> float:
    """The statistic ln(sum w S), in nats; 0 at least, so that it is finite."""
    return math.log(max(1.0, sum(shares)))


def interval_of(row: Sequence[Any], spread: float) -> Interval:
    """The mean difference of a component's row and its 95 % confidence sequence; see `Trail.interval`."""
    return Trail(n=int(row[REPLIES]), total=float(row[TOTAL]), total_sq=float(row[TOTAL_SQ])).interval(spread)


def moment(seconds: float) -> datetime | None:
    """The slot at these seconds of the epoch; None at 0."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _rolled(row: Sequence[float], bet: float, now: float, gained: Gained) -> Sequence[float]:
    held, gathered, since, replies, total, total_sq = row
    if not gained.counts:
        held = math.log(expm1(held)) if held else -math.inf
    path, log_sum = gathered + bet, min(held + bet, _TOP)
    # ln(1 + e^x), in the form that cannot overflow.
    held = (log_sum if log_sum > 0.0 else 0.0) + log1p(exp(-abs(log_sum)))
    held = round(held * _SCALE) / _SCALE
    if path <= 0.0:
        return [held, 0.0, 0.0, 0.0, 0.0, 0.0]
    return [
        held,
        round(path * _SCALE) / _SCALE,
        since or now,
        replies + gained.replies,
        round((total + gained.total) * _SCALE) / _SCALE,
        round((total_sq + gained.total_sq) * _SCALE) / _SCALE,
    ]
