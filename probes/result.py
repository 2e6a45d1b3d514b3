"""One attempt and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from probes.case import Case
from probes.outcome import Outcome
from probes.reply import Reply
from probes.scorer import Score, Scorer


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """One attempt to be made: which case, scored how. `seq` is its place in the round's panel."""

    seq: int
    case: Case
    scorers: Mapping[str, Scorer]


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The attempt's end.

    Attributes:
        ask: The attempt that was planned.
        started: When the request left (aware UTC).
        outcome: The one word for its end.
        elapsed: Seconds from start to end, also for failures.
        lag: The event loop's worst lateness during the attempt, in seconds: how far to trust `elapsed`.
        detail: One sentence for people where it failed.
        reply: The answer; None where it failed.
        scores: Scorer name -> score; empty where it failed.
        retry_after: Seconds that a rate-limited endpoint asked us to wait.
    """

    ask: Ask
    started: datetime
    outcome: Outcome
    elapsed: float
    lag: float = 0.0
    detail: str = ""
    reply: Reply | None = None
    scores: Mapping[str, Score] = field(default_factory=dict)
    retry_after: float | None = None

    @property
    def score(self) -> float | None:
        """The mean of its scores, or None where one of them is missing: a part never stands for the whole."""
        values = [score.value for score in self.scores.values()]
        known = [value for value in values if value is not None]
        if not values or len(known) < len(values):
            return None
        return sum(known) / len(known)
