"""`plumbline status`: what the page shows, in a terminal. It reads, and changes nothing."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import select

from alerts.hostile import one_line
from monitor.cases import Scorers, read_all
from monitor.cli.ending import Code
from monitor.cli.opening import now, open_store, read_config
from monitor.cli.options import Output
from monitor.cli.plan import ANY_KEY, watches_of
from monitor.cli.show import Columns, as_json, listing, moment, say, seconds, share, usd
from monitor.cli.speed import Short, look_short, tell_short
from monitor.config.model import Config
from monitor.drift.detector import VerdictKind
from monitor.measures import MEASURES
from monitor.plugins import Plugins
from monitor.signals import describe
from monitor.store.overview import overview
from monitor.store.tables import metas
from monitor.store.views import Overview, Point, StreamView
from monitor.watch import Watch
from monitor.web import pages
from probes import Case

_STREAMS: Columns = {
    "endpoint": ("endpoint", str),
    "probe": ("probe", str),
    "measure": ("measure", str),
    "verdict": ("verdict", str),
    "evidence": ("of an alarm", lambda ratio: f"{100 * ratio:.0f} %"),
    "last": ("last round", str),
    "slot": ("at", moment),
}
_UNITS = {"score": share, "failures": share, "seconds": seconds, "dollars": usd}


@dataclass(frozen=True, slots=True)
class _Configured:
    """The config and its watches, as an overview wants them."""

    config: Config
    watches: Mapping[tuple[str, str], Watch]


def show_status(path: Path, output: Output) -> Code:
    """Shows everything that is watched; a finding is an open incident."""
    config, plugins = read_config(path, secrets=False).config, Plugins()
    cases = read_all(config, Scorers(plugins, config.endpoints))
    seen, short = asyncio.run(_look(config, cases, plugins, brief=output is Output.TABLE))
    if short is None:
        as_json(orjson.loads(pages.as_json(seen)))
    else:
        _tell(seen, short)
    return Code.FINDING if seen.incidents else Code.OK


async def _look(
    config: Config, cases: Mapping[str, Sequence[Case]], plugins: Plugins, *, brief: bool
) -> tuple[Overview, Short | None]:
    async with open_store(config) as store:
        async with store.read() as connection:
            key = (await connection.execute(select(metas.c.value).where(metas.c.key == "split_key"))).scalar()
        watches = watches_of(config, cases, plugins, bytes.fromhex(key) if key else ANY_KEY)
        running = _Configured(config, {watch.key: watch for watch in watches})
        return await overview(store, running, now()), await look_short(store) if brief else None


def _tell(seen: Overview, short: Short) -> None:
    say(seen.sentence)
    say(f"daemon: {_since(seen.daemon_seen, seen.at)}")
    listing(list(_rows(seen)), _STREAMS, Output.TABLE, nothing="no streams yet")
    tell_short(short)
    for endpoint in seen.endpoints:
        if endpoint.detail:
            say(f"{endpoint.name}: {endpoint.standing}: {endpoint.detail}")
        for probe in endpoint.probes:
            base = probe.baseline
            version = f" version {base.version}" if base.version else ""
            note = f"; {base.note}" if base.note else ""
            say(f"{endpoint.name}/{probe.probe}: baseline{version} {base.state}{note}")
            if base.next_step:
                say(f"  next step: {base.next_step}")
            if probe.overdue:
                say("  overdue: its last good round is older than it should be")
    for incident in seen.incidents:
        say(f"{incident.severity}: {one_line(incident.lead.summary)} ({incident.id})")
    say(*(f"not told: {text}" for text in seen.untold))
    if seen.budget:
        say(seen.budget)


def _rows(seen: Overview) -> Iterator[dict[str, Any]]:
    for endpoint in seen.endpoints:
        for probe in endpoint.probes:
            for stream in probe.streams:
                learning = stream.verdict.kind is VerdictKind.LEARNING
                yield {
                    "endpoint": endpoint.name,
                    "probe": probe.probe,
                    "measure": stream.measure if stream.alarms else f"{stream.measure} (watched)",
                    "verdict": _verdict(stream),
                    "evidence": None if learning else stream.evidence_ratio,
                    "last": _point(stream.last, stream.unit) if stream.last else None,
                    "slot": stream.last.at if stream.last else None,
                }


def _verdict(stream: StreamView) -> str:
    verdict = stream.verdict
    if verdict.kind is VerdictKind.CHANGED:
        return f"CHANGED: {describe(MEASURES[stream.measure], verdict)}"
    return f"{verdict.kind}: {stream.why}" if stream.why else str(verdict.kind)


def _point(point: Point, unit: str) -> str:
    read = _UNITS.get(unit, "{:.0f}".format)
    return f"{read(point.mean)} ({read(point.low)} to {read(point.high)}, n {point.n})"


def _since(seen: datetime | None, at: datetime) -> str:
    if seen is None:
        return "none has run on this store yet; start one with `plumbline run`"
    ago = (at - seen).total_seconds()
    return "running" if ago < 30 else f"last seen {moment(seen)} UTC; start it with `plumbline run`"
