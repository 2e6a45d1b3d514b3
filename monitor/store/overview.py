"""What the status page, `/api/v1/status` and `plumbline status` show: one value, read in a handful of queries.

Text that came from endpoints is cleaned here, so that every surface gets it clean. Of held-out cases not
even the key is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.hostile import one_line
from monitor.config.model import Config
from monitor.drift import budget
from monitor.drift.detector import Verdict, VerdictKind
from monitor.measures import MEASURES
from monitor.store import baselines, incidents, ledger, readings
from monitor.store.engine import Store
from monitor.store.readings import Key
from monitor.store.streams import verdict_from
from monitor.store.views import (
    STANDINGS,
    BaselineView,
    EndpointView,
    EventView,
    LastRound,
    Overview,
    Point,
    ProbeView,
    QueueView,
    StreamView,
)
from monitor.watch import Watch

_EVENTS = 12
#: A probe is overdue when its last good round is older than this many intervals.
_OVERDUE = 2.5


class Running(Protocol):
    """What holds the config and the watches made from it."""

    @property
    def config(self) -> Config:
        """The config that holds now."""
        ...

    @property
    def watches(self) -> Mapping[Key, Watch]:
        """Its watches."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    """The rows that an overview is made of."""

    endpoints: Mapping[str, Any]
    streams: Mapping[Key, Sequence[Any]]
    stats: Mapping[int, Sequence[Any]]
    rounds: Mapping[Key, Any]
    successes: Mapping[Key, datetime]
    baselines: Mapping[Key, Sequence[Any]]
    captured: Mapping[str, int]
    spent: Mapping[str, tuple[int, int]]


async def overview(store: Store, running: Running, now: datetime) -> Overview:
    """Reads the state of everything that the config watches.

    Raises:
        StoreUnavailable: The database is away.
    """
    config, watches = running.config, running.watches
    async with store.read() as connection:
        read = await _read(connection, watches, now)
        open_now = await incidents.load_open(connection)
        untold = await readings.untold(connection, [each.id for each in open_now])
        queue = await incidents.queue(connection)
        events = await readings.newest_events(connection, _EVENTS)
        beat = await readings.last_beat(connection)
    return Overview(
        at=now,
        daemon_seen=beat,
        endpoints=[_endpoint(name, config, watches, read, now) for name in config.endpoints],
        incidents=sorted(open_now, key=lambda each: (-each.severity.rank, each.opened_at)),
        untold=[f"{row.channel}: {row.incident_id}: {one_line(row.reason)}" for row in untold],
        waiting=[
            QueueView(channel=channel, count=count, since=since) for channel, (count, since) in queue.items()
        ],
        events=[
            EventView(at=row.at, kind=row.kind, endpoint=row.endpoint, text=one_line(row.text))
            for row in events
        ],
        budget=_budget(config, watches),
    )


async def _read(connection: AsyncConnection, watches: Mapping[Key, Watch], now: datetime) -> _Read:
    by_key: dict[Key, list[Any]] = {}
    for row in await readings.judged(connection):
        by_key.setdefault((row.endpoint, row.source), []).append(row)
    pictured = {
        row.id: readings.window(now, watches[key].interval)
        for key, rows in by_key.items()
        for row in rows
        if row.measure == "score" and key in watches
    }
    versions = await readings.standing_baselines(connection)
    under_way = [row for rows in versions.values() for row in rows if row.state == baselines.CAPTURING]
    return _Read(
        endpoints=await readings.endpoint_rows(connection),
        streams=by_key,
        stats=await readings.stats(connection, pictured),
        rounds=await readings.last_rounds(connection),
        successes=await readings.last_successes(connection),
        baselines=versions,
        captured={
            row.id: await readings.captured(connection, row.endpoint, row.probe, row.id) for row in under_way
        },
        spent=await ledger.spent_today(connection, now.date()),
    )


def _endpoint(
    name: str, config: Config, watches: Mapping[Key, Watch], read: _Read, now: datetime
) -> EndpointView:
    settings, row = config.endpoints[name], read.endpoints.get(name)
    probes = [_probe(watch, read, now) for watch in watches.values() if watch.endpoint == name]
    refused = row is not None and row.state != "ok"
    standings = {"misconfigured"} if refused else {each.standing for each in probes} or {"learning"}
    return EndpointView(
        name=name,
        kind=settings.kind,
        model=one_line(str(getattr(settings.settings, "model", "")), 80),
        served_model=one_line(row.served_model, 80) if row is not None and row.served_model else None,
        provider=settings.provider,
        region=settings.region,
        labels=settings.labels,
        standing=min(standings, key=STANDINGS.index),
        detail=one_line(row.state_detail) if row is not None and refused else "",
        last_reply=row.last_reply if row is not None else None,
        spent_usd=None if settings.price is None else read.spent.get(name, (0, 0))[0] / 1e9,
        cap_usd=settings.limits.usd_per_day,
        probes=probes,
    )


def _probe(watch: Watch, read: _Read, now: datetime) -> ProbeView:
    key = watch.key
    baseline = _baseline(watch, read)
    by_measure = {row.measure: row for row in read.streams.get(key, ())}
    rows = [by_measure[name] for name in MEASURES if name in by_measure]
    views = [_stream(watch, row, baseline) for row in rows]
    points = (
        [_point(each) for each in read.stats.get(by_measure["score"].id, ())] if "score" in by_measure else []
    )
    last, success = read.rounds.get(key), read.successes.get(key)
    overdue = success is not None and now - success > _OVERDUE * watch.interval
    return ProbeView(
        probe=watch.probe,
        standing=_standing(views, overdue=overdue),
        interval_seconds=watch.interval.total_seconds(),
        next_slot=watch.grid.after(watch.grid.slot(now)),
        cases=len(watch.cases),
        cases_per_round=min(watch.cases_per_round, len(watch.cases)),
        overdue=overdue,
        last_round=None if last is None else _last_round(last),
        baseline=baseline,
        shown_since=points[0].at if points else readings.window(now, watch.interval),
        points=points,
        streams=views,
    )


def _last_round(row: Any) -> LastRound:
    counts = {name: n for name, n in (row.counts or {}).items() if name != "uplink_up"}
    return LastRound(slot=row.slot, outcome=row.outcome or "", outcomes=counts)


def _standing(streams: Sequence[StreamView], *, overdue: bool) -> str:
    """The most telling verdict of what alarms; an old "steady" is none, nor is one without any baseline."""
    alarming = [each for each in streams if each.alarms]
    kinds = {each.verdict.kind for each in alarming}
    for kind in (VerdictKind.CHANGED, VerdictKind.SUSPECT):
        if kind in kinds:
            return kind.value
    if overdue:
        return "overdue"
    compared = {each.verdict.kind for each in alarming if MEASURES[each.measure].needs_baseline}
    return "steady" if VerdictKind.STEADY in compared else "learning"


def _stream(watch: Watch, row: Any, baseline: BaselineView) -> StreamView:
    measure = MEASURES[row.measure]
    standing = baseline.state in (baselines.ACCEPTED, baselines.PROVISIONAL)
    judged_without = not measure.needs_baseline or standing or not watch.baseline.capture
    verdict = verdict_from(row.verdict) if row.verdict else Verdict(kind=VerdictKind.LEARNING)
    why = one_line(verdict.note)
    if not row.verdict:
        why = "no reply has carried it yet" if judged_without else "no baseline to compare with yet"
    rounds = watch.run_lengths.get(row.measure)
    shown = tuple(case for case in verdict.cases if watch.splits.get(case) == "open")
    return StreamView(
        measure=row.measure,
        unit=measure.unit,
        alarms=measure.alarms,
        verdict=replace(verdict, cases=shown, note=one_line(verdict.note)),
        evidence_ratio=verdict.evidence_ratio,
        false_alarm_days=None if rounds is None else rounds / watch.grid.per_day,
        last=_point(row, at=row.slot, verdict=verdict.kind.value) if row.n else None,
        why=why,
    )


def _point(row: Any, at: datetime | None = None, verdict: str | None = None) -> Point:
    return Point(
        at=at or row.at,
        n=row.n,
        mean=row.mean,
        low=row.low,
        high=row.high,
        verdict=verdict or row.verdict,
    )


def _baseline(watch: Watch, read: _Read) -> BaselineView:
    versions = [row for row in read.baselines.get(watch.key, ()) if row.subject == watch.subject]
    active = readings.judging(versions, watch.subject)
    waiting = next((row for row in versions if row.state == baselines.PROVISIONAL), None)
    capturing = next((row for row in versions if row.state == baselines.CAPTURING), None)
    notes, step = [], ""
    if waiting is not None:
        step = f"plumbline baseline accept {watch.probe} --endpoint {watch.endpoint}"
        if waiting is not active:
            notes.append(f"version {waiting.version} waits to be accepted")
    if capturing is not None:
        wanted = watch.captured_runs * len(watch.cases)
        done = min(wanted, read.captured.get(capturing.id, 0))
        notes.append(f"capturing version {capturing.version}: {done} of {wanted} replies")
    shown = active or capturing
    if shown is None:
        every = read.baselines.get(watch.key, ())
        shown = next((row for row in every if row.state in (baselines.STALE, baselines.REFUSED)), None)
        if shown is not None:
            refused = shown.state == baselines.REFUSED
            notes.append(one_line(shown.reason) if refused else "the endpoint's model or params changed")
    if active is None and capturing is None and not watch.baseline.capture:
        notes.append("watched by ADWIN, which sees only large changes")
        step = f"plumbline baseline capture {watch.probe} --endpoint {watch.endpoint}"
    return BaselineView(
        state=shown.state if shown is not None else "none",
        version=shown.version if shown is not None else None,
        created=shown.created if shown is not None else None,
        note="; ".join(notes),
        next_step=step,
    )


def _budget(config: Config, watches: Mapping[Key, Watch]) -> str:
    streams = sum(len(watch.run_lengths) for watch in watches.values())
    if not streams:
        return ""
    return budget.sentence(
        streams,
        len({watch.endpoint for watch in watches.values()}),
        config.false_alarms.at_most,
        config.false_alarms.per / timedelta(days=1),
    )
