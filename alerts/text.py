"""What on-call reads, as plain lines; every notifier says the same, each in its own markup."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alerts.engine import TransitionKind
from alerts.hostile import one_line
from alerts.incident import Incident, IncidentState, Member
from alerts.notification import Notice

PROVISIONAL = "The baseline behind this is provisional: nobody has accepted it yet."
_MOST_LINES = 8  # of members in one section, and of facts of one member
_MOST_ITEMS = 5  # of a list in one fact


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A few lines under a title; the title may be empty."""

    title: str
    lines: tuple[str, ...]


def subject(incident: Incident) -> str:
    """What the incident is about: the endpoint, else its labels."""
    labels = incident.labels
    return one_line(labels.get("endpoint") or ", ".join(labels.values()) or "plumbline", 80)


def headline(notice: Notice) -> str:
    """What and where, in one line: "support-bot: score down 12 points (8 to 15, n 80)"."""
    incident = notice.incident
    what = _ending(incident) if not incident.is_open else one_line(incident.lead.summary)
    return f"{subject(incident)}: {what}"


def news(notice: Notice) -> str:
    """What this notice adds to what was told before, in one line."""
    incident = notice.incident
    if notice.kind is TransitionKind.WORSENED:
        return f"{subject(incident)} is worse: {one_line(notice.summary or incident.lead.summary)}"
    return headline(notice)


def sections(notice: Notice) -> tuple[Section, ...]:
    """What moved, what recovered, on which grounds."""
    incident = notice.incident
    found = []
    if not incident.is_open:
        found.append(Section(title="Was", lines=_listed(incident.members)))
    elif len(incident.firing) == 1:  # the headline has said what
        found.append(Section(title="", lines=tuple(_facts(incident.firing[0].facts))))
    else:
        found.append(Section(title="Moved", lines=_listed(incident.firing, grounds=True)))
    if incident.is_open and incident.recovered:
        found.append(Section(title="Recovered", lines=_listed(incident.recovered)))
    if notice.provisional:
        found.append(Section(title="", lines=(PROVISIONAL,)))
    return tuple(section for section in found if section.lines)


def footer(notice: Notice) -> str:
    """How severe, since when, which incident."""
    incident = notice.incident
    state = "acknowledged, " if incident.state is IncidentState.ACKNOWLEDGED else ""
    if not incident.is_open:
        return (
            f"was {incident.peak}, {clock(incident.opened_at, notice.at)} to "
            f"{clock(incident.resolved_at or notice.at, notice.at)}, {incident.id}"
        )
    return f"{incident.severity}, {state}open since {clock(incident.opened_at, notice.at)}, {incident.id}"


def links(notice: Notice) -> tuple[tuple[str, str], ...]:
    """Name and address of each link; addresses that a browser should not be sent to are left out."""
    clean = ((one_line(name, 60), one_line(url, 500)) for name, url in notice.links.items())
    return tuple((name, url) for name, url in clean if re.fullmatch(r"https?://\S+", url))


def render_text(notice: Notice) -> str:
    """The whole notice as readable lines without markup: for logs, terminals and fallback texts."""
    word = notice.incident.severity.value if notice.incident.is_open else "resolved"
    lines = [f"{word.upper()} {news(notice)}"]
    for section in sections(notice):
        if section.title:
            lines.append(f"  {section.title}:")
        lines += [f"{'    ' if section.title else '  '}{line}" for line in section.lines]
    lines.append(f"  {footer(notice)}")
    lines += [f"  {name}: {url}" for name, url in links(notice)]
    return "\n".join(lines)


def clock(at: datetime, seen_from: datetime) -> str:
    """A time of day in UTC, with the date where it is another day."""
    day = "" if at.date() == seen_from.date() else f"{at.day} {at:%b} "
    return f"{day}{at:%H:%M} UTC"


def spell(duration: timedelta) -> str:
    """A duration for people, in its two largest units: "3 h 5 min"."""
    seconds = max(0, round(duration.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60 % 60, seconds // 3600 % 24, seconds // 86400
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    largest = next(index for index, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[largest : largest + 2] if count)


def _ending(incident: Incident) -> str:
    lasted = spell((incident.resolved_at or incident.updated_at) - incident.opened_at)
    if incident.resolution in {"", "recovered"}:
        return f"recovered after {lasted}"
    return f"closed after {lasted}, {one_line(incident.resolution)}"


def _listed(members: Iterable[Member], *, grounds: bool = False) -> tuple[str, ...]:
    lines: list[str] = []
    every = list(members)
    for member in every[:_MOST_LINES]:
        source = member.labels.get("source")
        lines.append(f"- {one_line(member.summary)}{f' ({one_line(source, 80)})' if source else ''}")
        if grounds:
            lines += [f"  {line}" for line in _facts(member.facts)]
    return (*lines, *_more(len(every) - _MOST_LINES))


def _facts(facts: Mapping[str, Any]) -> Iterator[str]:
    shown = [(key, value) for key, value in facts.items() if key != "provisional" and value is not None]
    for key, value in shown[:_MOST_LINES]:
        yield one_line(f"{str(key).replace('_', ' ')}: {_fact(value)}", 500)
    yield from _more(len(shown) - _MOST_LINES)


def _fact(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        value = [f"{key} {_fact(item)}" for key, item in value.items()]
    if isinstance(value, list | tuple):
        items = [_fact(item) for item in value[:_MOST_ITEMS]]
        return ", ".join([*items, *_more(len(value) - _MOST_ITEMS)]) or "none"
    return one_line(str(value))


def _more(count: int) -> tuple[str, ...]:
    return (f"and {count} more",) if count > 0 else ()
