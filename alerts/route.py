"""Who is told: the first route that matches an incident names the channel."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from alerts.incident import Incident


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One line of `alerts.routes`.

    Attributes:
        match: Labels that the incident must have, and `severity`; an empty one matches all.
        channel: Name of the channel that is told.
        mention: Whom to call there, as the channel understands it ("@oncall"); None calls nobody.
    """

    match: Mapping[str, str] = field(default_factory=dict)
    channel: str
    mention: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """Where one incident goes.

    Attributes:
        channel: Name of the channel; None where none is configured.
        mention: Whom to call there.
        reason: Why, for logs and `routes test`.
    """

    channel: str | None
    mention: str | None
    reason: str


def route(routes: Sequence[Route], default_channel: str | None, incident: Incident) -> Decision:
    """Finds the channel of an incident; the first matching route wins.

    Severity means the highest that the incident ever had, so that whoever was called is also told of the end.
    """
    labels = {**incident.labels, "severity": incident.peak.value}
    for number, each in enumerate(routes, 1):
        if each.match.items() <= labels.items():
            return Decision(channel=each.channel, mention=each.mention, reason=f"route {number}")
    if default_channel is None:
        return Decision(channel=None, mention=None, reason="no route matches and there is no default channel")
    return Decision(channel=default_channel, mention=None, reason="default channel")


def destinations(
    routes: Sequence[Route], default_channel: str | None, incident: Incident, told: Collection[str]
) -> tuple[Decision, ...]:
    """The routed channel, then every other one that was told of this incident; those are called no more.

    Args:
        routes: In the order of the config.
        default_channel: For incidents that no route matches.
        incident: As it is now.
        told: Names of channels that hold a receipt for this incident.
    """
    first = route(routes, default_channel, incident)
    others = sorted(set(told) - {first.channel})
    return (
        first,
        *(Decision(channel=name, mention=None, reason="was told before") for name in others),
    )
