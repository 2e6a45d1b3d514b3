"""`plumbline incidents`: what was wrong, and who was told."""

import asyncio
from pathlib import Path
from typing import Any

from alerts import Incident
from alerts.hostile import one_line
from monitor.cli.ending import Code, Refused
from monitor.cli.opening import open_store, read_config
from monitor.cli.options import Output
from monitor.cli.show import Columns, as_json, listing, moment, say
from monitor.store import incidents

_COLUMNS: Columns = {
    "id": ("id", str),
    "endpoint": ("endpoint", str),
    "state": ("state", str),
    "severity": ("severity", str),
    "opened": ("opened", moment),
    "resolved": ("resolved", moment),
    "summary": ("what", str),
}
_STEPS: Columns = {
    "at": ("at", moment),
    "kind": ("what happened", str),
    "summary": ("summary", str),
    "reason": ("why it counts", str),
}
_TOLD: Columns = {
    "created": ("owed since", moment),
    "channel": ("channel", str),
    "kind": ("of", str),
    "state": ("state", str),
    "sent": ("sent", moment),
    "attempts": ("tries", str),
    "reason": ("note", str),
}


def list_incidents(path: Path, *, every: bool, limit: int, output: Output) -> None:
    """The open incidents, or the newest ones whatever their state."""
    config = read_config(path, secrets=False).config

    async def work() -> list[Incident]:
        async with open_store(config) as store, store.read() as connection:
            if every:
                return await incidents.recent(connection, limit)
            return (await incidents.load_open(connection))[:limit]

    nothing = "no incidents" if every else "no open incidents; --all lists past ones"
    listing([_row(each) for each in asyncio.run(work())], _COLUMNS, output, nothing=nothing)


def show_incident(path: Path, id: str, output: Output) -> None:
    """One incident: what moved, every step, every message."""
    config = read_config(path, secrets=False).config

    async def work() -> dict[str, Any]:
        async with open_store(config) as store, store.read() as connection:
            incident = await incidents.load_one(connection, id)
            if incident is None:
                raise Refused(
                    f"no incident has the id {one_line(id, 80)}; see `plumbline incidents list --all`",
                    Code.USAGE,
                )
            steps, told = await incidents.history(connection, id)
            return {
                **_row(incident),
                "members": [member.as_json() for member in incident.members],
                "steps": [{key: getattr(step, key) for key in _STEPS} for step in steps],
                "notifications": [{key: getattr(each, key) for key in _TOLD} for each in told],
            }

    found = asyncio.run(work())
    if output is Output.JSON:
        as_json(found)
        return
    say(f"{found['id']}  {found['endpoint']}: {found['state']}, {found['severity']}")
    for member in found["members"]:
        say(f"  {'' if member['firing'] else 'recovered: '}{one_line(member['summary'])}")
        facts = {key: value for key, value in member["facts"].items() if key != "provisional"}
        for key, value in facts.items():
            say(f"    {one_line(key)}: {one_line(str(value))}")
    listing(found["steps"], _STEPS, Output.TABLE, nothing="no steps are known")
    listing(found["notifications"], _TOLD, Output.TABLE, nothing="nobody had to be told")


def _row(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "endpoint": incident.labels.get("endpoint", ""),
        "state": str(incident.state),
        "severity": str(incident.severity if incident.is_open else incident.peak),
        "opened": incident.opened_at,
        "updated": incident.updated_at,
        "resolved": incident.resolved_at,
        "resolution": incident.resolution,
        "summary": incident.lead.summary,
    }
