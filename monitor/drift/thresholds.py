"""A stream's threshold by three ways, and which of them counts."""

import math
from dataclasses import dataclass

#: A bootstrap never moves the law's threshold further, nor does a history move it further down.
FURTHEST = 1.5

#: Rounds of history that weigh as much as all else that is known. A thousand rounds hold no more than three alarms
#: at a run length of 250: the threshold they give has a standard error of more than a nat (simulated 1.0 to
#: 1.3), and by itself it would raise the rate by half.
WEIGHS_AS = 1_000

#: Thresholds further apart than this disagree: one alarms 1.65 times as often as the other.
DISAGREE = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """A stream's threshold by three ways, in nats at its run length.

    Attributes:
        law: ln(ARL) less the overshoot.
        bootstrap: From endpoints drawn from the fitted pool; None until it ran.
        history: From the stream's own rounds in control; None until there are enough.
        rounds: Behind the history.
    """

    law: float
    bootstrap: float | None = None
    history: float | None = None
    rounds: int = WEIGHS_AS

    @property
    def used(self) -> float:
        """The bootstrap's, else the law's; from the own history on a mean of that and the history's.

        At most 1.5 from the law, except that an own history may raise it further: under a load that drifts
        slowly the law is wrong by more, and always to the same side.
        """
        low, high = self.law - FURTHEST, self.law + FURTHEST
        known = self.law if self.bootstrap is None else min(max(self.bootstrap, low), high)
        if self.history is None:
            return known
        weight = self.rounds / (self.rounds + WEIGHS_AS)
        return max(low, known + weight * (self.history - known))

    @property
    def correction(self) -> float:
        """Nats to add to the law's threshold, for `Round.correction`."""
        return self.used - self.law

    @property
    def source(self) -> str:
        """Which of the three counts."""
        if self.history is not None:
            return "own history"
        return "bootstrap" if self.bootstrap is not None else "law"

    @property
    def apart(self) -> float:
        """How far the three lie from each other, in nats."""
        known = [one for one in (self.law, self.bootstrap, self.history) if one is not None]
        return max(known) - min(known)

    def sentence(self) -> str:
        """What the user reads."""
        shown = [f"law {self.law:.2f}"]
        shown += [f"bootstrap {self.bootstrap:.2f}"] if self.bootstrap is not None else []
        shown += [f"own history {self.history:.2f}"] if self.history is not None else []
        told = f"Threshold {self.used:.2f} by {self.source} ({', '.join(shown)})."
        if self.apart > DISAGREE:
            told += (
                f" They disagree by {self.apart:.1f} nats: the lowest would alarm falsely "
                f"{math.exp(self.apart):.1f} times as often as the highest."
            )
        return told
