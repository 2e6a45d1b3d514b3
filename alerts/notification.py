"""One message owed to one channel: all that a notifier needs to write it, as plain JSON."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from alerts.engine import Transition, TransitionKind
from alerts.incident import Incident
from alerts.route import Decision


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """What one channel must be told. It holds no text of held-out cases.

    Attributes:
        id: Of the notification; the same over all attempts to deliver it.
        incident: As it was when this came to be owed.
        kind: What happened; `updated` only edits what was told before.
        channel: Name of the channel in the config.
        mention: Whom to call, as the channel understands it; None calls nobody.
        seq: Of the incident; a greater one makes this one old.
        at: When it happened.
        summary: What happened, in one line.
        reason: Why it is told.
        links: Name -> address, in the order of showing.
        provisional: The baseline behind it was not accepted by anybody yet.
    """

    id: str
    incident: Incident
    kind: TransitionKind
    channel: str
    mention: str | None
    seq: int
    at: datetime
    summary: str = ""
    reason: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    provisional: bool = False

    def as_json(self) -> dict[str, Any]:
        """Plain JSON; `from_json` reads it back."""
        return {
            "v": 1,
            "id": self.id,
            "incident": self.incident.as_json(),
            "kind": self.kind.value,
            "channel": self.channel,
            "mention": self.mention,
            "seq": self.seq,
            "at": self.at.isoformat(),
            "summary": self.summary,
            "reason": self.reason,
            "links": dict(self.links),
            "provisional": self.provisional,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Notice":
        """Reads what `as_json` wrote."""
        return cls(
            id=data["id"],
            incident=Incident.from_json(data["incident"]),
            kind=TransitionKind(data["kind"]),
            channel=data["channel"],
            mention=data["mention"],
            seq=data["seq"],
            at=datetime.fromisoformat(data["at"]),
            summary=data["summary"],
            reason=data["reason"],
            links=data["links"],
            provisional=data["provisional"],
        )


def owed(
    transition: Transition, decision: Decision, new_id: Callable[[], str], links: Mapping[str, str]
) -> Notice | None:
    """The notice that a transition owes to a channel; None where no channel is configured for it.

    Args:
        transition: What happened.
        decision: Where it goes.
        new_id: Makes the notification's identifier.
        links: Name -> address of pages to read on.
    """
    if decision.channel is None:
        return None
    return Notice(
        id=new_id(),
        incident=transition.incident,
        kind=transition.kind,
        channel=decision.channel,
        mention=decision.mention,
        seq=transition.incident.seq,
        at=transition.at,
        summary=transition.summary,
        reason=transition.reason,
        links=dict(links),
        provisional=transition.incident.provisional,
    )
