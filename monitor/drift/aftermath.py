"""After an alarm: how large the change is, whether it grows, shrinks, or is over."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from monitor.drift.effect import Interval
from monitor.drift.evidence import RETURN_THRESHOLD
from monitor.drift.mixture import REPLIES, SINCE, TOTAL, TOTAL_SQ, Gained, interval_of, moment

#: Evidence of the alarm's own round that makes a change a size larger, in nats: twenty to one.
CLEARLY_LARGER = 3.0

#: Rounds after an alarm in which a larger change than thought is taken for the same one, seen better.
SETTLES_IN = 10

_DIGITS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Aftermath:
    """What a changed stream knows of its change.

    Attributes:
        up: Whether it is a gain.
        leader: The component with the most evidence at the alarm.
        peak: The statistic at the alarm, in nats.
        rounds: Rounds since the alarm.
        since: The estimated start, in seconds of the epoch.
        replies: Replies since the start.
        total: Sum of their differences.
        total_sq: Sum of squares.
        level: Which of the three sizes the change is held against.
        back: Evidence that it is over, against that size; a CUSUM, in nats, like the next two.
        ease: Evidence that it is one size smaller.
        grow: Evidence that it is one size larger.
        grows: Since when that gathers, in seconds of the epoch.
        worse: Since when it is worse than it was told, in seconds of the epoch; 0 where it is not.
        better: The slot at which it was found to be smaller than it was told; 0 where it was not.
    """

    up: bool
    leader: int
    peak: float
    rounds: int = 0
    since: float = 0.0
    replies: int = 0
    total: float = 0.0
    total_sq: float = 0.0
    level: int = 0
    back: float = 0.0
    ease: float = 0.0
    grow: float = 0.0
    grows: float = 0.0
    worse: float = 0.0
    better: float = 0.0

    @classmethod
    def of(
        cls, row: Sequence[float], rungs: Sequence[float], *, up: bool, leader: int, peak: float
    ) -> "Aftermath":
        """At the alarm, from the leading component's row and that round's evidence for the three sizes.

        A larger size is taken at once only where twenty to one speaks for it, so that a luckless round does not
        make a small change large: held against a large one, it would look over.
        """
        level = 0
        while level + 1 < len(rungs) and rungs[level + 1] - rungs[level] > CLEARLY_LARGER:
            level += 1
        return cls(
            level=level,
            up=up,
            leader=leader,
            peak=round(peak, _DIGITS),
            since=row[SINCE],
            replies=int(row[REPLIES]),
            total=row[TOTAL],
            total_sq=row[TOTAL_SQ],
        )

    @property
    def over(self) -> bool:
        """Whether the stream is back: by chance at most once in 500 rounds of a change of this size."""
        return self.back >= RETURN_THRESHOLD

    def follow(self, at: datetime, gained: Gained, rungs: Sequence[float]) -> "Aftermath":
        """The state after one more round.

        Args:
            at: The slot.
            gained: What the round brings.
            rungs: Its evidence for each of the three sizes against no change, in nats.
        """
        level = self.level
        here = rungs[level]
        grow = max(0.0, self.grow + rungs[level + 1] - here) if level + 1 < len(rungs) else 0.0
        ease = max(0.0, self.ease + rungs[level - 1] - here) if level else 0.0
        after = replace(
            self,
            rounds=self.rounds + gained.counts,
            replies=self.replies + gained.replies,
            total=round(self.total + gained.total, _DIGITS),
            total_sq=round(self.total_sq + gained.total_sq, _DIGITS),
            back=round(max(0.0, self.back - here), _DIGITS),
            ease=round(ease, _DIGITS),
            grow=round(grow, _DIGITS),
            grows=(self.grows or at.timestamp()) if grow else 0.0,
        )
        return after if after.over else after._another_size(at)

    def _another_size(self, at: datetime) -> "Aftermath":
        """One size up or down where the evidence says so; the CUSUMs then start anew."""
        settled = self.rounds > SETTLES_IN
        anew = replace(self, back=0.0, ease=0.0, grow=0.0, grows=0.0)
        if self.grow >= RETURN_THRESHOLD:
            larger = replace(anew, level=self.level + 1)
            return replace(larger, worse=self.grows, better=0.0) if settled else larger
        if self.ease >= RETURN_THRESHOLD:
            smaller = replace(anew, level=self.level - 1)
            return replace(smaller, worse=0.0, better=at.timestamp()) if settled else smaller
        return self

    def interval(self, spread: float) -> Interval:
        """The mean difference since the start, and its confidence sequence."""
        row = [0.0, 0.0, 0.0, self.replies, self.total, self.total_sq]
        return interval_of(row, spread)

    def note(self) -> str:
        """What a person should know besides the effect; empty where there is nothing."""
        worse, better = moment(self.worse), moment(self.better)
        if worse:
            return f"{'better' if self.up else 'worse'} again since about {worse:%d %b %H:%M} UTC"
        if better:
            return f"part of it is over since {better:%d %b %H:%M} UTC"
        return ""

    def dump(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> "Aftermath":
        """From what `dump` gave."""
        return cls(**dumped)
