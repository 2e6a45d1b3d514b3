"""After the alarm: since when, how much, and which cases; all from running sums in the state."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

#: The level of the confidence sequence: 95 % over all rounds at once.
ALPHA = 0.05

#: The sequence is tightest at this many replies, five rounds of twenty.
TIGHTEST_AT = 100

#: Cases remembered as candidates; a verdict shows five.
CANDIDATES = 12

#: Bytes that the candidates of one trail may take; three trails leave a quarter of a 4 KiB state free.
CANDIDATE_BYTES = 800


class Part(NamedTuple):
    """What one reply adds: its case, its difference from the case's reference, its evidence in nats."""

    case: str
    difference: float
    evidence: float


class Interval(NamedTuple):
    """An estimate with its interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Trail:
    """What has gathered since the estimated start of a change of one size.

    The start is where the CUSUM of that size last left zero, the maximum-likelihood estimate of the change
    point (Page 1954; Hinkley 1970).

    Attributes:
        evidence: The CUSUM, in nats.
        since: The slot at which it left zero; None while it is there.
        rounds: Rounds since then.
        push: Sum over these rounds of a detector's standardised shift.
        n: Replies since then.
        total: Sum of their differences.
        total_sq: Sum of squares.
        cases: The cases with the most evidence since then; a bounded selection.
    """

    evidence: float = 0.0
    since: datetime | None = None
    rounds: int = 0
    push: float = 0.0
    n: int = 0
    total: float = 0.0
    total_sq: float = 0.0
    cases: Mapping[str, float] = field(default_factory=dict)

    def follow(
        self, at: datetime, log_bet: float, parts: Iterable[Part], *, push: float = 0.0, hold: bool
    ) -> "Trail":
        """The trail after one more round; `hold` keeps it although the CUSUM falls to zero."""
        evidence = max(0.0, self.evidence + log_bet)
        if evidence == 0.0 and not hold:
            return Trail()
        listed = list(parts)
        return Trail(
            evidence=evidence,
            since=self.since or at,
            rounds=self.rounds + 1,
            push=self.push + push,
            n=self.n + len(listed),
            total=self.total + math.fsum(part.difference for part in listed),
            total_sq=self.total_sq + math.fsum(part.difference**2 for part in listed),
            cases=_leading(self.cases, listed),
        )

    def worst(self, at_most: int = 5) -> tuple[str, ...]:
        """The cases that contribute most, worst first."""
        return tuple(self.cases)[:at_most]

    def interval(self, spread: float, inflation: float = 1.0) -> Interval:
        """The mean difference and its 95 % confidence sequence.

        Asymptotic and valid at every round (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2021, eq. 2.3);
        the error of the references and of the estimated start is not in it.

        Args:
            spread: Standard deviation of one difference when nothing is known; counts as one reply, so that
                equal replies do not give a width of nothing.
            inflation: By how much replies of one round move together (1: not at all).
        """
        if not self.n:
            return Interval(0.0, 0.0, 0.0)
        mean = self.total / self.n
        around = max(0.0, self.total_sq - self.n * mean * mean)
        variance = (around + spread * spread) / (self.n + 1)
        half = math.sqrt(variance * max(1.0, inflation)) * boundary(self.n)
        return Interval(mean, mean - half, mean + half)

    def dump(self) -> dict[str, Any]:
        """As plain JSON. The cases are a list of pairs: their order is kept whatever stores it."""
        return {
            "evidence": self.evidence,
            "since": self.since.isoformat() if self.since else None,
            "rounds": self.rounds,
            "push": self.push,
            "n": self.n,
            "total": self.total,
            "total_sq": self.total_sq,
            "cases": [[case, evidence] for case, evidence in self.cases.items()],
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> "Trail":
        """From what `dump` gave."""
        since = dumped["since"]
        return cls(
            **{
                **dumped,
                "since": datetime.fromisoformat(since) if since else None,
                "cases": dict(dumped["cases"]),
            }
        )


def boundary(n: int) -> float:
    """Half the width of the confidence sequence at `n` replies, in standard deviations."""
    shape = -2.0 * math.log(ALPHA)
    rho_sq = (shape + math.log(shape + 1.0)) / TIGHTEST_AT
    known = n * rho_sq + 1.0
    return math.sqrt(2.0 * known / (n * n * rho_sq) * math.log(math.sqrt(known) / ALPHA))


def _leading(held: Mapping[str, float], parts: Iterable[Part]) -> dict[str, float]:
    """The leading cases, most evidence first, in a bounded number of bytes."""
    sums = dict(held)
    for part in parts:
        sums[part.case] = sums.get(part.case, 0.0) + part.evidence
    ranked = sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:CANDIDATES]
    leading: dict[str, float] = {}
    left = CANDIDATE_BYTES
    for case, evidence in ranked:
        left -= len(json.dumps(case)) + 30
        if evidence > 0.0 and left >= 0:
            leading[case] = evidence
    return leading
