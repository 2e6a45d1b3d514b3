"""From signals to incidents: (rules, states, incidents, signals, now) -> changes, and no effect beside."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from alerts.incident import Incident, IncidentState, Member, shared_labels
from alerts.rule import Phase, Rule, RuleState, step
from alerts.signal import Severity, Signal, digest


class TransitionKind(StrEnum):
    """What happened to an incident. Everything but `updated` is worth somebody's attention."""

    OPENED = "opened"
    WORSENED = "worsened"
    UPDATED = "updated"
    RESOLVED = "resolved"


@dataclass(frozen=True, kw_only=True, slots=True)
class Transition:
    """One step in the life of an incident.

    Attributes:
        kind: opened, worsened, updated or resolved.
        incident: As it is after the step.
        at: When it happened.
        summary: What happened, in one clean line for people.
        reason: Why it counts as this kind ("latency joined", "severity rose to critical").
    """

    kind: TransitionKind
    incident: Incident
    at: datetime
    summary: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """All that must be stored, in one transaction; what did not change is not in it.

    Attributes:
        states: Rule states by `state_key`.
        incidents: New and changed incidents.
        transitions: What has to be told; at most one per incident.
    """

    states: Mapping[str, RuleState] = field(default_factory=dict)
    incidents: tuple[Incident, ...] = ()
    transitions: tuple[Transition, ...] = ()


def state_key(rule: Rule, signal: Signal) -> str:
    """Under which the state of a rule on a signal is kept."""
    return f"{rule.name}:{signal.fingerprint}"


def evaluate(
    rules: Sequence[Rule],
    states: Mapping[str, RuleState],
    incidents: Sequence[Incident],
    signals: Sequence[Signal],
    now: datetime,
    new_id: Callable[[], str],
) -> Changes:
    """Evaluates every rule on the signals that it watches and brings the incidents up to date.

    Args:
        rules: The rules; those that watch none of the signals do nothing.
        states: Stored rule states by `state_key`, at least those of these rules and signals.
        incidents: The open incidents, at least those that these signals belong or would belong to.
        signals: What is known now. Members whose signal is not among them stay as they are.
        now: The slot.
        new_id: Makes identifiers of new incidents.
    """
    moved: dict[str, RuleState] = {}
    board = _Board(incidents, now, new_id)
    for rule in rules:
        for signal in signals:
            if signal.name != rule.signal:
                continue
            key = state_key(rule, signal)
            moved[key] = step(rule, moved.get(key, states.get(key)), signal, now)
            board.place(rule, signal, moved[key])
    changed = {key: state for key, state in moved.items() if state != states.get(key)}
    return replace(board.changes(), states=changed)


def close(
    incidents: Sequence[Incident],
    signals_of_removed: Callable[[Mapping[str, str]], bool],
    now: datetime,
    resolution: str,
) -> Changes:
    """Ends what can no longer be watched, for example because the config no longer has it.

    Args:
        incidents: The open incidents.
        signals_of_removed: Whether the labels of a member belong to what was removed.
        now: When it was removed.
        resolution: Why, as people read it: "removed from config".
    """
    board = _Board(incidents, now, _no_id)
    board.resolution = resolution
    for incident in incidents:
        for member in incident.firing:
            if signals_of_removed(member.labels):
                board.stop(member.key)
    return board.changes()


def _no_id() -> str:
    raise AssertionError("closing never opens an incident")


class _Board:
    """The open incidents of one evaluation while the signals are placed; lives inside one call only."""

    def __init__(self, incidents: Iterable[Incident], now: datetime, new_id: Callable[[], str]) -> None:
        self.resolution = "recovered"
        self._now = now
        self._new_id = new_id
        self._before = {incident.fingerprint: incident for incident in incidents if incident.is_open}
        self._members: dict[str, dict[tuple[str, str], Member]] = {
            fingerprint: {member.key: member for member in incident.members}
            for fingerprint, incident in self._before.items()
        }

    def place(self, rule: Rule, signal: Signal, state: RuleState) -> None:
        """Lets the signal join, refresh or leave its incident."""
        key = rule.name, signal.fingerprint
        if state.phase is not Phase.FIRING:
            self.stop(key)
        elif rule.matters(signal):  # else it only keeps firing: what was last seen stays shown
            home = self._home(key) or digest(rule.group(signal.labels))
            self._members.setdefault(home, {})[key] = Member.of(rule.name, signal, state.since)

    def stop(self, key: tuple[str, str]) -> None:
        """Marks a member as recovered, where there is one."""
        if home := self._home(key):
            self._members[home][key] = replace(self._members[home][key], firing=False)

    def changes(self) -> Changes:
        """What became of the incidents."""
        settled = [self._settle(home, tuple(each.values())) for home, each in self._members.items()]
        return Changes(
            incidents=tuple(incident for incident, _ in settled if incident is not None),
            transitions=tuple(transition for _, transition in settled if transition is not None),
        )

    def _home(self, key: tuple[str, str]) -> str | None:
        """Where the member is; it stays there even if its rule groups by other labels since."""
        return next((home for home, members in self._members.items() if key in members), None)

    def _settle(self, home: str, members: tuple[Member, ...]) -> tuple[Incident | None, Transition | None]:
        before = self._before.get(home)
        if before is None:
            if not any(member.firing for member in members):
                return None, None  # one signal given twice, present and then absent
            after = self._open(home, members)
            return after, self._transition(TransitionKind.OPENED, after, after.lead.summary, "rule fires")
        if before.members == members:
            return None, None
        after = self._refresh(before, members)
        kind, summary, reason = _judge(before, after)
        if kind is None:
            return after, None
        after = replace(after, seq=before.seq + 1)
        if kind is TransitionKind.RESOLVED:
            after = replace(
                after,
                state=IncidentState.RESOLVED,
                resolved_at=after.updated_at,
                resolution=self.resolution,
            )
        return after, self._transition(kind, after, summary, reason)

    def _open(self, home: str, members: tuple[Member, ...]) -> Incident:
        severity = _highest(members)
        return Incident(
            id=self._new_id(),
            fingerprint=home,
            labels=shared_labels(members),
            state=IncidentState.OPEN,
            severity=severity,
            peak=severity,
            members=members,
            opened_at=self._now,
            updated_at=self._now,
            seq=1,
        )

    def _refresh(self, before: Incident, members: tuple[Member, ...]) -> Incident:
        firing = tuple(member for member in members if member.firing)
        severity = _highest(firing) if firing else before.severity
        return replace(
            before,
            members=members,
            labels=shared_labels(members),
            severity=severity,
            peak=max(before.peak, severity, key=lambda each: each.rank),
            updated_at=max(before.updated_at, self._now),
        )

    def _transition(self, kind: TransitionKind, incident: Incident, summary: str, reason: str) -> Transition:
        at = incident.updated_at
        return Transition(kind=kind, incident=incident, at=at, summary=summary, reason=reason)


def _judge(before: Incident, after: Incident) -> tuple[TransitionKind | None, str, str]:
    """Names what happened between two states of one incident: the kind, a line for people, the reason."""
    was_firing = {member.key for member in before.firing}
    if not after.firing:
        return TransitionKind.RESOLVED, f"{_titles(before.firing)} recovered", "no rule fires any more"
    if joined := [member for member in after.firing if member.key not in was_firing]:
        summary = "; ".join(member.summary for member in joined)
        return TransitionKind.WORSENED, summary, f"{_titles(joined)} joined"
    if after.peak.rank > before.peak.rank:
        return TransitionKind.WORSENED, after.lead.summary, f"severity rose to {after.peak}"
    if len(after.firing) < len(was_firing):
        stopped = [member for member in after.recovered if member.key in was_firing]
        return TransitionKind.UPDATED, after.lead.summary, f"{_titles(stopped)} recovered"
    if [_seen(member) for member in after.members] != [_seen(member) for member in before.members]:
        return TransitionKind.UPDATED, after.lead.summary, "evidence changed"
    return None, "", ""


def _seen(member: Member) -> tuple[str, Severity]:
    return member.summary, member.severity


def _highest(members: Iterable[Member]) -> Severity:
    return max((member.severity for member in members), key=lambda severity: severity.rank)


def _titles(members: Iterable[Member]) -> str:
    return ", ".join(dict.fromkeys(member.title for member in members))
