"""One stream between its states: watching, changed, back again. The same for every built-in detector."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter

from monitor.drift.detector import State, Verdict, VerdictKind
from monitor.drift.effect import NOTHING, Gathered, Trail
from monitor.drift.evidence import RETURN_THRESHOLD

_EVIDENCE = attrgetter("evidence")

#: The layout of the state. Detectors raise their own `version` with it.
LAYOUT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """The state of a built-in detector.

    Attributes:
        changed: An alarm was raised and the stream is not back yet.
        judged: Rounds judged so far.
        sums: Shiryaev-Roberts sums, one per alternative; empty for a CUSUM.
        trails: What has gathered since the estimated start, one per alternative; after the alarm only the
            leading one, and it stands first.
        peak: The highest evidence of this change.
        size: The largest that its effect was estimated at, in the detector's own unit.
        back: Evidence that the stream is back; a CUSUM against the changed law.
        own: Numbers that only this detector knows.
    """

    changed: bool = False
    judged: int = 0
    sums: tuple[float, ...] = ()
    trails: tuple[Trail, ...] = (NOTHING,)
    peak: float = 0.0
    size: float = 0.0
    back: float = 0.0
    own: Mapping[str, float] = field(default_factory=dict)

    def dump(self) -> State:
        """As plain JSON."""
        return {
            "v": LAYOUT,
            "changed": self.changed,
            "judged": self.judged,
            "sums": list(self.sums),
            "trails": [trail.dump() for trail in self.trails],
            "peak": self.peak,
            "size": self.size,
            "back": self.back,
            "own": dict(self.own),
        }

    @classmethod
    def load(cls, state: State) -> "Watch":
        """From what `dump` gave.

        Raises:
            ValueError: The state was written by another version.
        """
        if state.get("v") != LAYOUT:
            raise ValueError(f"detector state of version {state.get('v')!r}: this one reads {LAYOUT}")
        return cls(
            changed=state["changed"],
            judged=state["judged"],
            sums=tuple(state["sums"]),
            trails=tuple([Trail.load(trail) for trail in state["trails"]]),
            peak=state["peak"],
            size=state["size"],
            back=state["back"],
            own=state["own"],
        )

    @property
    def trail(self) -> Trail:
        """The leading one: the size of change with the most evidence (generalised likelihood ratio)."""
        if self.changed:
            return self.trails[0]
        return max(self.trails, key=_EVIDENCE)

    def follow(
        self,
        at: datetime,
        sums: tuple[float, ...],
        log_bets: Sequence[float],
        gathered: Gathered,
        push: float = 0.0,
    ) -> "Watch":
        """The state with this round in its sums and on its trails; `log_bets` has one for each trail."""
        if self.changed:
            first = self.trails[0].follow(at, log_bets[0], gathered, push=push, hold=True)
            return self._with(sums, (first, *self.trails[1:]))
        trails = tuple(
            [
                trail.follow(at, bet, gathered, push=push, hold=False)
                for trail, bet in zip(self.trails, log_bets, strict=True)
            ]
        )
        return self._with(sums, trails)

    def _with(self, sums: tuple[float, ...], trails: tuple[Trail, ...]) -> "Watch":
        """Spelt out, because it takes a quarter of the time of `replace`, in every round of every stream."""
        return Watch(
            changed=self.changed,
            judged=self.judged,
            sums=sums,
            trails=trails,
            peak=self.peak,
            size=self.size,
            back=self.back,
            own=self.own,
        )

    def judge(
        self, statistic: float, *, alarms: bool, size: float, reverse: float, own: Mapping[str, float]
    ) -> "Watch":
        """The state after one judged round. An alarm sets all sums to 0.

        Args:
            statistic: Evidence for a change, in nats.
            alarms: Whether it is an alarm; see `evidence.alarming`.
            size: The effect as estimated now, in the detector's own unit.
            reverse: Evidence of this round that a changed stream is back, in nats; may be negative.
            own: The detector's own numbers after it.
        """
        after = replace(self, judged=self.judged + 1, own=own)
        if not self.changed:
            if not alarms:
                return after
            leading = replace(self.trail, evidence=statistic)
            trails = (leading, *(NOTHING for _ in self.trails[1:]))
            sums = tuple(0.0 for _ in self.sums)
            return replace(after, changed=True, sums=sums, trails=trails, peak=statistic, size=size)
        back = max(0.0, self.back + reverse)
        if back >= RETURN_THRESHOLD:
            return Watch(
                judged=after.judged,
                sums=tuple(0.0 for _ in self.sums),
                trails=tuple(NOTHING for _ in self.trails),
                own=own,
            )
        return replace(after, back=back, peak=max(self.peak, statistic), size=max(self.size, size))

    def kind(self, statistic: float, threshold: float) -> VerdictKind:
        """What the stream says now."""
        if self.changed:
            return VerdictKind.CHANGED
        return VerdictKind.SUSPECT if statistic >= threshold / 2.0 else VerdictKind.STEADY

    def verdict(
        self,
        statistic: float,
        threshold: float,
        *,
        direction: str,
        scale: str = "difference",
        spread: float,
        inflation: float = 1.0,
        note: str = "",
    ) -> Verdict:
        """The verdict after a round, with the effect wherever something moves.

        Args:
            statistic: Evidence for a change, in nats.
            threshold: Where it becomes an alarm.
            direction: Which way the measure moves when it gets worse.
            scale: "difference" of values in 0..1, or "ratio" of values followed on the log scale.
            spread: As for `Trail.interval`.
            inflation: As for `Trail.interval`.
            note: One sentence where something needs saying.
        """
        kind = self.kind(statistic, threshold)
        evidence = self.peak if self.changed else statistic
        if kind is VerdictKind.STEADY or not self.trail.n:
            return Verdict(kind=kind, evidence=evidence, threshold=threshold, scale=scale, note=note)
        effect, low, high = (_shown(value, scale) for value in self.trail.interval(spread, inflation))
        return Verdict(
            kind=kind,
            evidence=evidence,
            threshold=threshold,
            direction=direction,
            effect=effect,
            low=low,
            high=high,
            scale=scale,
            n=self.trail.n,
            since=self.trail.since,
            cases=self.trail.worst(),
            note=note,
        )


def _shown(value: float, scale: str) -> float:
    """A mean difference as a person reads it, inside what the scale can hold."""
    if scale == "ratio":
        return math.expm1(min(value, 50.0))
    return min(1.0, max(-1.0, value))
