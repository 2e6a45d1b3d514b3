"""What on-call acknowledges and resolves: one incident over every rule that fires on the same thing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from alerts.hostile import one_line, plain
from alerts.signal import Severity, Signal


class IncidentState(StrEnum):
    """open, acknowledged (still open, somebody is on it) or resolved."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One rule on one signal inside an incident.

    Attributes:
        fingerprint: Of the signal.
        rule: Name of the rule.
        name: Name of the signal.
        labels: Of the signal, as last seen while it fired.
        severity: As last seen while it fired.
        summary: One clean line; still somebody else's words.
        since: When the rule began to fire (the last time, if it came back).
        facts: The grounds, as clean plain JSON.
        firing: False once the rule has stopped; the member stays listed as recovered.
    """

    fingerprint: str
    rule: str
    name: str
    labels: Mapping[str, str]
    severity: Severity
    summary: str
    since: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)
    firing: bool = True

    @classmethod
    def of(cls, rule: str, signal: Signal, since: datetime) -> "Member":
        """The member that a firing signal makes; its text is cleaned here, before it is stored anywhere."""
        return cls(
            fingerprint=signal.fingerprint,
            rule=rule,
            name=signal.name,
            labels=dict(signal.labels),
            severity=signal.severity,
            summary=one_line(signal.summary),
            since=since,
            facts=plain(signal.facts),
        )

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same member."""
        return self.rule, self.fingerprint

    @property
    def title(self) -> str:
        """A short name for people: the measure, else the signal."""
        return self.labels.get("measure", self.name).replace("_", " ")

    def as_json(self) -> dict[str, Any]:
        """Plain JSON; `from_json` reads it back."""
        return {
            "fingerprint": self.fingerprint,
            "rule": self.rule,
            "name": self.name,
            "labels": dict(self.labels),
            "severity": self.severity.value,
            "summary": self.summary,
            "since": self.since.isoformat(),
            "facts": dict(self.facts),
            "firing": self.firing,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Member":
        """Reads what `as_json` wrote."""
        return cls(
            **{
                **data,
                "severity": Severity(data["severity"]),
                "since": datetime.fromisoformat(data["since"]),
            }
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Incident:
    """One matter that a person deals with.

    Attributes:
        id: Public identifier.
        fingerprint: Of the labels that its rules group by; at most one open incident has it.
        labels: The grouping labels and all others on which its members agree.
        state: open, acknowledged or resolved.
        severity: The highest among firing members; the last one known once resolved.
        peak: The highest it ever was.
        members: In the order of joining; recovered ones stay.
        opened_at: When it was opened.
        updated_at: When anything in it last changed.
        resolved_at: When it ended; None while open.
        seq: Counts its transitions, from 1; strictly rising.
        resolution: Why it ended ("recovered", "removed from config"); empty while open.
    """

    id: str
    fingerprint: str
    labels: Mapping[str, str]
    state: IncidentState
    severity: Severity
    members: tuple[Member, ...]
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None = None
    seq: int = 0
    resolution: str = ""
    peak: Severity = Severity.INFO

    @property
    def is_open(self) -> bool:
        """Whether it still needs somebody (acknowledged counts as open)."""
        return self.state is not IncidentState.RESOLVED

    @property
    def firing(self) -> tuple[Member, ...]:
        """Members whose rule fires."""
        return tuple(member for member in self.members if member.firing)

    @property
    def recovered(self) -> tuple[Member, ...]:
        """Members whose rule has stopped."""
        return tuple(member for member in self.members if not member.firing)

    @property
    def lead(self) -> Member:
        """The member that stands for all: the most severe firing one, the first of equals."""
        return max(self.firing or self.members, key=lambda member: member.severity.rank)

    @property
    def provisional(self) -> bool:
        """Whether anything that fires was judged against a baseline that nobody has accepted yet."""
        return any(member.facts.get("provisional") is True for member in self.firing)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON; `from_json` reads it back."""
        return {
            "v": 1,
            "id": self.id,
            "fingerprint": self.fingerprint,
            "labels": dict(self.labels),
            "state": self.state.value,
            "severity": self.severity.value,
            "members": [member.as_json() for member in self.members],
            "opened_at": self.opened_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "resolved_at": self.resolved_at.isoformat() if self.resolved_at else None,
            "seq": self.seq,
            "resolution": self.resolution,
            "peak": self.peak.value,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Incident":
        """Reads what `as_json` wrote."""
        resolved = data["resolved_at"]
        return cls(
            id=data["id"],
            fingerprint=data["fingerprint"],
            labels=data["labels"],
            state=IncidentState(data["state"]),
            severity=Severity(data["severity"]),
            members=tuple(Member.from_json(member) for member in data["members"]),
            opened_at=datetime.fromisoformat(data["opened_at"]),
            updated_at=datetime.fromisoformat(data["updated_at"]),
            resolved_at=datetime.fromisoformat(resolved) if resolved else None,
            seq=data["seq"],
            resolution=data["resolution"],
            peak=Severity(data["peak"]),
        )


def shared_labels(members: Iterable[Member]) -> dict[str, str]:
    """The labels on which all members agree."""
    each = [member.labels.items() for member in members]
    return dict(sorted(set(each[0]).intersection(*each[1:]))) if each else {}
