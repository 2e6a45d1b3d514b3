"""The Detector protocol: (state, reference, round) -> (state, verdict), and nothing else."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol

#: Detector state: plain JSON with a version under "v", at most 4 KiB.
State = Mapping[str, Any]

#: A case is judged from its third run on; until then its replies only build its reference.
RUNS_BEFORE_JUDGING = 3


class VerdictKind(StrEnum):
    """What a stream says of its endpoint."""

    LEARNING = "learning"
    STEADY = "steady"
    SUSPECT = "suspect"
    CHANGED = "changed"


class Role(StrEnum):
    """Why a case was asked."""

    REGULAR = "regular"
    REASK = "reask"
    BURST = "burst"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a detector concludes, with its grounds.

    Attributes:
        kind: learning, steady, suspect (half of the threshold) or changed.
        evidence: The statistic, in nats of evidence against "nothing has changed".
        threshold: What the statistic must reach; follows from the false-alarm budget.
        direction: "down" or "up" in the measure's own unit; None while steady.
        effect: Estimated change against the baseline since `since`; see `scale`.
        low: Lower end of its 95 % interval.
        high: Upper end.
        scale: "difference" (score, failure share: 0.1 is ten points) or "ratio" (times: 0.3 is 30 % more).
        n: Replies behind the effect.
        since: Estimated time of the change.
        cases: The keys of the cases that contribute most, worst first; at most five.
        note: One sentence where something needs saying ("3 of 20 cases are new and not judged yet").
    """

    kind: VerdictKind
    evidence: float = 0.0
    threshold: float = math.inf
    direction: str | None = None
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    scale: str = "difference"
    n: int = 0
    since: datetime | None = None
    cases: tuple[str, ...] = ()
    note: str = ""

    @property
    def evidence_ratio(self) -> float:
        """Evidence over threshold; 1 is an alarm."""
        return self.evidence / self.threshold if self.threshold > 0 else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseReference:
    """What is known of one case in control: `runs` values, their sum and sum of squares (detector's scale)."""

    runs: int = 0
    total: float = 0.0
    total_sq: float = 0.0

    def add(self, value: float) -> "CaseReference":
        """The reference with one more run."""
        return CaseReference(
            runs=self.runs + 1, total=self.total + value, total_sq=self.total_sq + value * value
        )

    @property
    def mean(self) -> float:
        """Mean of the runs; 0 where there are none."""
        return self.total / self.runs if self.runs else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """What a stream is compared with: its part of the active baseline.

    Attributes:
        prior: The pool's summary, fitted at the capture (the meaning of the keys is the detector's own).
        cases: Case key -> reference, at least for the cases of the round.
        residuals: In-control residuals, oldest first; at most 2,000. Empty for detectors that use none.
    """

    prior: Mapping[str, float] = field(default_factory=dict)
    cases: Mapping[str, CaseReference] = field(default_factory=dict)
    residuals: Sequence[float] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """One reply's value of the measure, in its natural unit (score 0..1, seconds, tokens, 1 = failed).

    Attributes:
        case: The case's key.
        value: What was measured.
        role: Why it was asked: in its turn, once more because its last reply was unlikely, or in a burst.
        slices: What its case belongs to (tags, categories). A detector may look for changes of one slice alone.
    """

    case: str
    value: float
    role: Role = Role.REGULAR
    slices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """One round of one stream.

    Attributes:
        at: The slot.
        observations: One per reply; the order does not matter.
        run_length: Rounds between false alarms that the budget allows this stream (its ARL).
        rng: Seeded from (endpoint, probe, slot), so a replay draws the same.
        correction: Nats that calibration adds to the threshold of the law.
        pooled: What the endpoint's other streams hold of an alarm: the sum of exp(evidence - threshold).
            The stream alarms where this and its own part reach 1, and its own is not less than `moved`.
        moved: The least part of an alarm with which a stream counts as moved; see `together`.
    """

    at: datetime
    observations: Sequence[Observation]
    run_length: float
    rng: random.Random
    correction: float = 0.0
    pooled: float = 0.0
    moved: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What one round did.

    Attributes:
        state: The state to store.
        verdict: What it means.
        learned: References that changed (only of cases in the round).
        residuals: New in-control residuals to append to the stream's reference.
        log_bets: The round's sum of log-likelihood ratios, one per component of the mixture; kept as the
            stream's own history, from which thresholds are calibrated. Empty where nothing was judged.
        again: Cases whose reply was so unlikely that they are worth asking twice more, as `Role.REASK`.
        burst: Whether the evidence is worth asking more cases sooner, as `Role.BURST`.
        refit: Whether the pool has learnt so much that `prior` should be fitted again from all its cases.
    """

    state: State
    verdict: Verdict
    learned: Mapping[str, CaseReference] = field(default_factory=dict)
    residuals: tuple[float, ...] = ()
    log_bets: tuple[float, ...] = ()
    again: tuple[str, ...] = ()
    burst: bool = False
    refit: bool = False


class Detector(Protocol):
    """Watches one stream. A plugin registers a class of this shape in `plumbline.detectors`.

    Made as `DetectorClass()`; holds nothing: the same arguments always give the same step.

    Attributes:
        api: The plugin contract it was written for; 1.
        version: Raised whenever stored state can no longer be read; the stream then starts anew.
    """

    api: ClassVar[int]
    version: ClassVar[int]

    def fit(self, runs: Mapping[str, Sequence[float]]) -> Reference:
        """Builds the reference from a baseline capture.

        Args:
            runs: Case key -> its values in natural units; a case may have any number of them.
        """
        ...

    def start(self) -> State:
        """The state of a stream that has seen nothing."""
        ...

    def update(self, state: State, reference: Reference, round: Round) -> Step:
        """Judges one round.

        Args:
            state: What `start` or the last step gave; never changed in place.
            reference: The stream's part of the active baseline.
            round: What came in. Values that are not finite are refused.

        Raises:
            ValueError: An observation is not finite or out of range.
        """
        ...
