"""After the alarm: since when, how much, and which cases; all from running sums in the state."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

#: The level of the confidence sequence: 95 % over all rounds at once.
ALPHA = 0.05

#: The sequence is tightest at this many replies, five rounds of twenty.
TIGHTEST_AT = 100

#: Cases remembered as candidates; a verdict shows five.
CANDIDATES = 12

#: Bytes that the candidates of one trail may take; three trails leave a quarter of a 4 KiB state free.
CANDIDATE_BYTES = 800


class Gathered(NamedTuple):
    """What one round's replies add together; the same for every trail.

    Attributes:
        n: Replies.
        total: Sum of their differences.
        total_sq: Sum of squares.
        cases: Case -> its evidence in nats.
    """

    n: int
    total: float
    total_sq: float
    cases: Mapping[str, float]

    @classmethod
    def of(cls, cases: Sequence[str], differences: Sequence[float], evidence: Sequence[float]) -> "Gathered":
        """Of replies: their cases, their differences from the reference, their evidence in nats."""
        summed = dict(zip(cases, evidence, strict=True))
        if len(summed) < len(cases):
            summed = dict.fromkeys(cases, 0.0)
            for case, nats in zip(cases, evidence, strict=True):
                summed[case] += nats
        return cls(
            n=len(cases),
            total=math.fsum(differences),
            total_sq=math.fsum([difference * difference for difference in differences]),
            cases=summed,
        )


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
        self, at: datetime, log_bet: float, gathered: Gathered, *, push: float = 0.0, hold: bool
    ) -> "Trail":
        """The trail after one more round; `hold` keeps it although the CUSUM falls to zero."""
        evidence = max(0.0, self.evidence + log_bet)
        if evidence == 0.0 and not hold:
            return NOTHING
        return Trail(
            evidence=evidence,
            since=self.since or at,
            rounds=self.rounds + 1,
            push=self.push + push,
            n=self.n + gathered.n,
            total=self.total + gathered.total,
            total_sq=self.total_sq + gathered.total_sq,
            cases=_leading(self.cases, gathered.cases),
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
        if not since and not dumped["evidence"]:
            return NOTHING
        return cls(
            **{
                **dumped,
                "since": datetime.fromisoformat(since) if since else None,
                "cases": dict(dumped["cases"]),
            }
        )


#: The trail of a change of which there is no sign.
NOTHING = Trail()


def boundary(n: int) -> float:
    """Half the width of the confidence sequence at `n` replies, in standard deviations."""
    shape = -2.0 * math.log(ALPHA)
    rho_sq = (shape + math.log(shape + 1.0)) / TIGHTEST_AT
    known = n * rho_sq + 1.0
    return math.sqrt(2.0 * known / (n * n * rho_sq) * math.log(math.sqrt(known) / ALPHA))


def _leading(held: Mapping[str, float], gained: Mapping[str, float]) -> dict[str, float]:
    """The leading cases, most evidence first, in a bounded number of bytes."""
    sums = dict(held)
    for case, evidence in gained.items():
        if case in sums:
            sums[case] += evidence
        elif evidence > 0.0:
            sums[case] = evidence
    ranked = sorted([(-evidence, case) for case, evidence in sums.items() if evidence > 0.0])[:CANDIDATES]
    leading: dict[str, float] = {}
    left = CANDIDATE_BYTES
    for minus, case in ranked:
        left -= size_of(case) + 30
        if left < 0:
            break
        leading[case] = -minus
    return leading


@lru_cache(maxsize=4_096)
def size_of(case: str) -> int:
    """What a case's key takes in the state, in bytes."""
    return len(json.dumps(case))
