"""The newest rounds of a stream, as far as a state of 4 KiB holds them: their means, counts and times."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from monitor.drift.detector import State

#: The layout of the state.
LAYOUT = 1

#: Rounds that are kept.
WINDOW = 200

#: Rounds whose times are kept; what began before them has no estimated start.
TIMES_KEPT = 40

#: Means are kept as whole multiples of 1 / UNIT.
UNIT = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A change for the worse that is told.

    Attributes:
        since: When it began; None where that is not known.
        mean: The level before it.
        n: Replies behind that level.
        rounds: For how many rounds it was told.
    """

    since: datetime | None
    mean: float
    n: int
    rounds: int = 0

    def dump(self) -> dict[str, Any]:
        """As plain JSON."""
        since = self.since.isoformat() if self.since else None
        return {"since": since, "mean": self.mean, "n": self.n, "rounds": self.rounds}

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> "Told":
        """From what `dump` gave."""
        since = dumped["since"]
        return cls(**{**dumped, "since": datetime.fromisoformat(since) if since else None})


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The newest rounds, oldest first.

    Attributes:
        means: The mean of each round, in whole multiples of 1 / UNIT.
        counts: The replies of each round.
        at: The slot of the newest round; None before the first.
        gaps: Whole seconds between the newest rounds.
        rounds: Rounds seen since the start, also those that left.
        evidence: What the newest round came to, in nats.
        told: The change that is told now.
        settled: A change was told for so long that its level is the usual one now.
    """

    means: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()
    at: datetime | None = None
    gaps: tuple[int, ...] = ()
    rounds: int = 0
    evidence: float = 0.0
    told: Told | None = None
    settled: bool = False

    def dump(self) -> State:
        """As plain JSON."""
        return {
            "v": LAYOUT,
            "means": list(self.means),
            "counts": list(self.counts),
            "at": self.at.isoformat() if self.at else None,
            "gaps": list(self.gaps),
            "rounds": self.rounds,
            "evidence": self.evidence,
            "told": self.told.dump() if self.told else None,
            "settled": self.settled,
        }

    @classmethod
    def load(cls, state: State) -> "Window":
        """From what `dump` gave.

        Raises:
            ValueError: The state was written by another version.
        """
        if state.get("v") != LAYOUT:
            raise ValueError(f"detector state of version {state.get('v')!r}: this one reads {LAYOUT}")
        return cls(
            means=tuple(state["means"]),
            counts=tuple(state["counts"]),
            at=datetime.fromisoformat(state["at"]) if state["at"] else None,
            gaps=tuple(state["gaps"]),
            rounds=state["rounds"],
            evidence=state["evidence"],
            told=Told.load(state["told"]) if state["told"] else None,
            settled=state["settled"],
        )

    def add(self, at: datetime, mean: float, n: int) -> "Window":
        """With one more round; the oldest ones leave."""
        gaps = self.gaps if self.at is None else (*self.gaps, round((at - self.at).total_seconds()))
        return replace(
            self,
            means=(*self.means, round(mean * UNIT))[-WINDOW:],
            counts=(*self.counts, n)[-WINDOW:],
            at=at,
            gaps=gaps[-TIMES_KEPT:],
            rounds=self.rounds + 1,
        )

    def oldest(self, width: int) -> "Window":
        """All rounds but the newest `width`."""
        return replace(self, means=self.means[:-width], counts=self.counts[:-width])

    def newest(self, width: int) -> "Window":
        """Only the newest `width` rounds."""
        return replace(self, means=self.means[-width:], counts=self.counts[-width:])

    def began(self, width: int) -> datetime | None:
        """The slot of the first of the newest `width` rounds; None where its time is no longer kept."""
        if self.at is None or width - 1 > len(self.gaps):
            return None
        return self.at - timedelta(seconds=sum(self.gaps[len(self.gaps) - width + 1 :]))

    @property
    def n(self) -> int:
        """The replies of all rounds."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """The mean of all replies; 0 where there are none."""
        total = sum(mean * count for mean, count in zip(self.means, self.counts, strict=True))
        return total / UNIT / self.n if self.n else 0.0

    def spread(self, floor: float) -> float:
        """The standard deviation of one reply, as the scatter of the rounds says; never under `floor`."""
        return max(floor, math.hypot(*self._deviations()) / math.sqrt(max(1, len(self.means) - 1)))

    def standardised(self, floor: float) -> list[float]:
        """Each round's distance from the mean, in standard deviations of a round with so many replies."""
        spread = self.spread(floor)
        return [deviation / spread for deviation in self._deviations()]

    def _deviations(self) -> Sequence[float]:
        """Each round's distance from the mean, in errors of one reply.

        A round with few replies counts for less than its error says: how far whole rounds, each of the same
        mixture of cases, lie apart tells too little of single replies.
        """
        mean, usual = self.mean, self.n / max(1, len(self.counts))
        return [
            (each / UNIT - mean) * math.sqrt(count) * min(1.0, count / usual)
            for each, count in zip(self.means, self.counts, strict=True)
        ]
