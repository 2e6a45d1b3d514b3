"""Short ways to say the values that these tests are about."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from alerts.engine import Changes, Transition, TransitionKind, close, evaluate
from alerts.incident import Incident
from alerts.notification import Notice, owed
from alerts.route import Decision
from alerts.rule import Rule, RuleState
from alerts.signal import Severity, Signal

START = datetime(2026, 11, 19, 14, 35, tzinfo=UTC)
SCORE = "score down 12 points (8 to 15, n 80) since about 14:20 UTC"
LATENCY = "latency up 41 % (30 to 52, n 80) since about 14:40 UTC"
RULES = (Rule(name="score-changed", signal="score"), Rule(name="latency-changed", signal="latency"))
LINKS = {"Status page": "https://plumbline.example.org/"}


def at(minutes: float) -> datetime:
    """A time, in minutes after the start."""
    return START + timedelta(minutes=minutes)


def signal(
    value: float | None = 1.0,
    *,
    name: str = "score",
    endpoint: str = "support-bot",
    severity: Severity = Severity.CRITICAL,
    summary: str = SCORE,
    facts: Mapping[str, Any] | None = None,
    **labels: str,
) -> Signal:
    """A signal of the probe `support-quality`."""
    every = {"endpoint": endpoint, "source": "support-quality", "measure": name, "team": "support", **labels}
    return Signal(
        name=name, labels=every, value=value, at=START, severity=severity, summary=summary, facts=facts or {}
    )


def latency(value: float | None = 1.0, *, severity: Severity = Severity.WARNING, **more: Any) -> Signal:
    """A signal that latency has moved."""
    return signal(value, name="latency", severity=severity, summary=more.pop("summary", LATENCY), **more)


def ids(prefix: str) -> Callable[[], str]:
    """Identifiers that count."""
    numbers = itertools.count(1)
    return lambda: f"{prefix}_{next(numbers):04d}"


class Desk:
    """What the store would hold: states and incidents, brought up to date by each evaluation."""

    def __init__(self, rules: Iterable[Rule] = RULES) -> None:
        self.rules = tuple(rules)
        self.states: dict[str, RuleState] = {}
        self.incidents: dict[str, Incident] = {}
        self.told: list[Transition] = []
        self._new_id = ids("inc")

    @property
    def open(self) -> list[Incident]:
        """The open incidents."""
        return [incident for incident in self.incidents.values() if incident.is_open]

    def see(self, *signals: Signal, minute: float = 0) -> list[Transition]:
        """Evaluates the signals and returns what has to be told."""
        return self._store(evaluate(self.rules, self.states, self.open, signals, at(minute), self._new_id))

    def remove(self, gone: Callable[[Mapping[str, str]], bool], minute: float = 0) -> list[Transition]:
        """Takes something out of the config."""
        return self._store(close(self.open, gone, at(minute), "removed from config"))

    def _store(self, changes: Changes) -> list[Transition]:
        self.states.update(changes.states)
        self.incidents.update({incident.id: incident for incident in changes.incidents})
        self.told += changes.transitions
        return list(changes.transitions)


def notice(transition: Transition, *, mention: str | None = None, number: int = 1) -> Notice:
    """What the channel `oncall` must be told of a transition."""
    decision = Decision(channel="oncall", mention=mention, reason="test")
    made = owed(transition, decision, lambda: f"ntf_{number:04d}", LINKS)
    assert made is not None
    return made


FACTS = {
    "evidence": "9.1 nats, alarm at 7.05",
    "false alarms": "1 in 180 days for this endpoint",
    "did_not_move": ["latency", "errors"],
    "worst_cases": ["refund-03", "refund-11", "opening-hours"],
}


def story() -> dict[str, Notice]:
    """One incident from its opening to its end."""
    desk = Desk()
    steps = {
        TransitionKind.OPENED: desk.see(signal(facts=FACTS), minute=0),
        TransitionKind.UPDATED: desk.see(signal(summary=SCORE.replace("12", "13"), facts=FACTS), minute=15),
        TransitionKind.WORSENED: desk.see(
            signal(summary=SCORE.replace("12", "13"), facts=FACTS),
            latency(facts={"p95": "4.1 s, was 2.9 s"}),
            minute=30,
        ),
        TransitionKind.RESOLVED: desk.see(signal(0.0), latency(0.0), minute=95),
    }
    return {
        kind.value: notice(transition, mention="@oncall", number=number)
        for number, (kind, (transition,)) in enumerate(steps.items(), 1)
    }
