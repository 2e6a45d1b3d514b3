"""What a webhook carries: the shape of Alertmanager's webhook, version "4", and our own words under `plumbline`."""

import json
from datetime import datetime
from typing import Any

from alerts.engine import TransitionKind
from alerts.hostile import cut, one_line
from alerts.incident import Member
from alerts.notification import Notice
from alerts.signal import digest
from alerts.text import headline, links, render_text

#: Receivers of incidents commonly refuse more.
MOST_BYTES = 512 * 1024

_NEVER = "0001-01-01T00:00:00Z"  # what Alertmanager says for an alert that has not ended
_DESCRIPTION = 2000
_TEXT = 20_000
_REASONS = {
    TransitionKind.OPENED: "first notification",
    TransitionKind.RESOLVED: "all alerts resolved",
}


def body(notice: Notice) -> bytes:
    """The notice as JSON of at most `MOST_BYTES`.

    Where it would be longer, the grounds (`plumbline.facts`) are left out first, then the last alerts;
    `truncatedAlerts` counts those.
    """
    kept = len(notice.incident.members)
    written = _encoded(payload(notice, most=kept, facts=True))
    if len(written) > MOST_BYTES:
        written = _encoded(payload(notice, most=kept, facts=False))
    while len(written) > MOST_BYTES and kept:
        kept = min(kept - 1, kept * MOST_BYTES // len(written))
        written = _encoded(payload(notice, most=kept, facts=False))
    return written


def payload(notice: Notice, *, most: int, facts: bool) -> dict[str, Any]:
    """The notice as plain JSON.

    Args:
        notice: What to tell.
        most: How many alerts to list; firing ones come first.
        facts: Whether the grounds of the alerts are told as values, too.
    """
    incident = notice.incident
    every = (*incident.firing, *incident.recovered)
    shown = every[:most]
    alerts = [_alert(member, notice) for member in shown]
    labels = incident.labels
    return {
        "version": "4",
        "groupKey": f"plumbline:{incident.fingerprint}",
        "truncatedAlerts": len(every) - len(shown),
        "status": "firing" if incident.is_open else "resolved",
        "receiver": notice.channel,
        "groupLabels": {"endpoint": labels["endpoint"]} if "endpoint" in labels else dict(labels),
        "commonLabels": _shared([alert["labels"] for alert in alerts]),
        "commonAnnotations": _shared([alert["annotations"] for alert in alerts]),
        "externalURL": _address(notice),
        "notification_reason": _REASONS.get(notice.kind, notice.reason),
        "alerts": alerts,
        "plumbline": _own(notice, shown if facts else ()),
    }


def _alert(member: Member, notice: Notice) -> dict[str, Any]:
    labels = {**member.labels, "alertname": member.rule, "severity": member.severity.value}
    ended = not member.firing
    return {
        "status": "resolved" if ended else "firing",
        "labels": dict(sorted(labels.items())),
        "annotations": {"summary": one_line(member.summary), "description": _description(member)},
        "startsAt": _time(member.since),
        "endsAt": _time(notice.incident.resolved_at or notice.at) if ended else _NEVER,
        "generatorURL": _address(notice),
        "fingerprint": digest(member.rule, member.fingerprint),
    }


def _own(notice: Notice, grounded: tuple[Member, ...]) -> dict[str, Any]:
    incident = notice.incident
    return {
        "notification": notice.id,
        "incident": incident.id,
        "seq": notice.seq,
        "kind": notice.kind.value,
        "at": _time(notice.at),
        "state": incident.state.value,
        "severity": incident.severity.value,
        "peak": incident.peak.value,
        "opened_at": _time(incident.opened_at),
        "resolved_at": _time(incident.resolved_at) if incident.resolved_at else None,
        "resolution": incident.resolution,
        "provisional": notice.provisional,
        "reason": notice.reason,
        "mention": notice.mention,
        "headline": headline(notice),
        "text": cut(render_text(notice), _TEXT),
        "links": dict(links(notice)),
        "facts": {digest(member.rule, member.fingerprint): dict(member.facts) for member in grounded},
    }


def _description(member: Member) -> str:
    """The grounds in one line; receivers that know Alertmanager show it below the summary."""
    told = (
        f"{key.replace('_', ' ')}: {value if isinstance(value, str) else json.dumps(value)}"
        for key, value in member.facts.items()
        if value is not None
    )
    return one_line("; ".join(told), _DESCRIPTION)


def _address(notice: Notice) -> str:
    return next((url for _, url in links(notice)), "")


def _shared(each: list[dict[str, str]]) -> dict[str, str]:
    """What all have in common."""
    if not each:
        return {}
    return dict(sorted(set(each[0].items()).intersection(*(item.items() for item in each))))


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _encoded(value: dict[str, Any]) -> bytes:
    # Escaped to ASCII: nobody's lone surrogate can make it unreadable.
    return json.dumps(value, separators=(",", ":")).encode()
