from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from alerts.engine import TransitionKind, evaluate
from alerts.rule import Rule
from alerts.signal import Severity, Signal
from tests.alerts.build import Desk, at, ids, signal

TIMES = st.sampled_from([timedelta(0), timedelta(minutes=10), timedelta(hours=1)])
SIGNALS = st.builds(
    signal,
    st.sampled_from([None, 0.0, 1.0]),
    name=st.sampled_from(["score", "latency"]),
    endpoint=st.sampled_from(["a", "b"]),
    source=st.sampled_from(["p", "q"]),
    severity=st.sampled_from(Severity),
    summary=st.sampled_from(["one", "two"]),
    team=st.sampled_from(["x", "y"]),
)


class AnyLife(RuleBasedStateMachine):
    """Signals come in any order, values and times; rules are edited; things are removed from the config."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.minute = 0.0

    @rule()
    def see_nothing(self) -> None:
        assert self.desk.see(minute=self.minute) == []

    @rule(hold=TIMES, keep=TIMES, group=st.sampled_from([("endpoint",), ("team",), ("endpoint", "source")]))
    def edit_rules(self, hold: timedelta, keep: timedelta, group: tuple[str, ...]) -> None:
        self.desk.rules = tuple(
            Rule(name=f"{name}-changed", signal=name, hold=hold, keep_firing=keep, group_by=group)
            for name in ("score", "latency")
        )

    @rule(
        signals=st.lists(SIGNALS, min_size=1, max_size=6, unique_by=lambda each: each.fingerprint),
        minutes=st.integers(-30, 90),
    )
    def see(self, signals: list[Signal], minutes: int) -> None:
        self.minute += minutes
        before = {incident.id: incident for incident in self.desk.open}
        for transition in self.desk.see(*signals, minute=self.minute):
            incident = transition.incident
            was = before.get(incident.id)
            assert incident.seq == (was.seq + 1 if was else 1)
            assert (transition.kind is TransitionKind.OPENED) == (was is None)
            assert (transition.kind is TransitionKind.RESOLVED) == (not incident.is_open)
        again = evaluate(
            self.desk.rules, self.desk.states, self.desk.open, signals, at(self.minute), ids("no")
        )
        assert (again.states, again.incidents, again.transitions) == ({}, (), ())

    @rule(endpoint=st.sampled_from(["a", "b"]))
    def remove_endpoint(self, endpoint: str) -> None:
        self.desk.remove(lambda labels: labels["endpoint"] == endpoint, minute=self.minute)
        assert not [
            member
            for incident in self.desk.open
            for member in incident.firing
            if member.labels["endpoint"] == endpoint
        ]

    @invariant()
    def never_two_open_incidents_of_one_fingerprint(self) -> None:
        fingerprints = [incident.fingerprint for incident in self.desk.open]
        assert len(fingerprints) == len(set(fingerprints))

    @invariant()
    def every_open_incident_has_something_that_fires_and_a_true_severity(self) -> None:
        for incident in self.desk.open:
            ranks = [member.severity.rank for member in incident.firing]
            assert incident.severity.rank == max(ranks)
            assert incident.peak.rank >= incident.severity.rank

    @invariant()
    def nothing_fires_in_two_places(self) -> None:
        keys = [member.key for incident in self.desk.open for member in incident.members]
        assert len(keys) == len(set(keys))

    @invariant()
    def what_is_opened_is_resolved_at_most_once_and_then_never_spoken_of(self) -> None:
        ended: set[str] = set()
        for transition in self.desk.told:
            assert transition.incident.id not in ended
            if transition.kind is TransitionKind.RESOLVED:
                ended.add(transition.incident.id)


TestAnyLife = AnyLife.TestCase
