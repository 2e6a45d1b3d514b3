"""What is shown of the whole state: plain values, the same for the page, the API and the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts import Incident
from monitor.drift.detector import Verdict

#: The standings of an endpoint, the most telling first.
STANDINGS = ("misconfigured", "changed", "suspect", "overdue", "learning", "steady")


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """What one round said on one stream: a mean over `n` replies with its 95 % interval."""

    at: datetime
    n: int
    mean: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamView:
    """One stream. `why` says what a stream without a judgement is waiting for."""

    measure: str
    unit: str
    alarms: bool
    verdict: Verdict
    evidence_ratio: float
    false_alarm_days: float | None
    last: Point | None
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BaselineView:
    """What a probe is compared with. `next_step` is the command that a person has to run, if any."""

    state: str
    version: int | None
    created: datetime | None
    note: str
    next_step: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LastRound:
    """The newest scheduled round that has ended; `outcomes` counts its attempts."""

    slot: datetime
    outcome: str
    outcomes: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeView:
    """One probe on one endpoint. `points` are its score, oldest first, since `shown_since`."""

    probe: str
    standing: str
    interval_seconds: float
    next_slot: datetime
    cases: int
    cases_per_round: int
    overdue: bool
    last_round: LastRound | None
    baseline: BaselineView
    shown_since: datetime
    points: Sequence[Point]
    streams: Sequence[StreamView]


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointView:
    """One endpoint. `standing` is the most telling of `STANDINGS`; without a price no dollars are known."""

    name: str
    kind: str
    model: str
    served_model: str | None
    provider: str | None
    region: str | None
    labels: Mapping[str, str]
    standing: str
    detail: str
    last_reply: datetime | None
    spent_usd: float | None
    cap_usd: float | None
    probes: Sequence[ProbeView]


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueView:
    """Messages that one channel has not sent yet."""

    channel: str
    count: int
    since: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class EventView:
    """Something that happened beside the rounds."""

    at: datetime
    kind: str
    endpoint: str | None
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """Everything at one time. `untold` names messages that could not be delivered."""

    at: datetime
    daemon_seen: datetime | None
    endpoints: Sequence[EndpointView]
    incidents: Sequence[Incident]
    untold: Sequence[str]
    waiting: Sequence[QueueView]
    events: Sequence[EventView]
    budget: str

    @property
    def level(self) -> str:
        """How it looks from afar: the worst severity, or misconfigured, suspect, learning, steady, idle."""
        if self.incidents:
            return max((each.severity for each in self.incidents), key=lambda severity: severity.rank).value
        return next((each for each in STANDINGS if self._count(each)), "idle")

    @property
    def sentence(self) -> str:
        """The whole state in one sentence."""
        if not self.endpoints:
            return "Nothing is watched yet: add endpoints and probes to the config, then reload."
        steady, everything = self._count("steady"), len(self.endpoints)
        if self.incidents:
            count = len(self.incidents)
            return f"{count} open incident{'s' if count > 1 else ''}; {steady} of {_endpoints(everything)} steady."
        if steady == everything:
            return {1: "The endpoint is", 2: "Both endpoints are"}.get(
                steady, f"All {steady} endpoints are"
            ) + " steady."
        said = [f"{number} {standing}" for standing in STANDINGS if (number := self._count(standing))]
        return f"{_endpoints(everything)}: {', '.join(said)}."

    def _count(self, standing: str) -> int:
        return sum(each.standing == standing for each in self.endpoints)


def _endpoints(count: int) -> str:
    return "1 endpoint" if count == 1 else f"{count} endpoints"
