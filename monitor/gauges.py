"""State gauges: read from the store before each exposition, so that every replica shows the same.

Each refresh replaces all series, so that what left the config leaves /metrics. While the store is away they
are absent rather than old; the process's own counters, and `plumbline_store_up 0`, go on.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Any, TypeVar

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts import Severity
from monitor.drift.detector import VerdictKind
from monitor.measures import MEASURES
from monitor.metrics import Metrics
from monitor.store import baselines, incidents, ledger, readings
from monitor.store.engine import Store
from monitor.store.errors import StoreError
from monitor.store.overview import Running
from monitor.store.readings import Key
from monitor.store.streams import verdict_from

#: For how long a reading is good; a scrape more often costs nothing.
_FRESH = timedelta(seconds=5)
#: A store that has not answered by then is away: Prometheus gives up a scrape after ten.
_PATIENCE = 5.0

#: What is only watched has no series: the bound of 100 for an endpoint leaves no room for it.
_ALARMING = frozenset(name for name, measure in MEASURES.items() if measure.alarms)

#: The values of a series' labels, in the order of their names.
_Labels = TypeVar("_Labels", bound=tuple[str, ...])

_VERDICTS = {
    VerdictKind.LEARNING: -1,
    VerdictKind.STEADY: 0,
    VerdictKind.SUSPECT: 1,
    VerdictKind.CHANGED: 2,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    """The rows that gauges are made of."""

    streams: Sequence[Any]
    successes: Mapping[Key, datetime]
    baselines: Mapping[Key, Sequence[Any]]
    asked: Mapping[Key, int]
    spent: Mapping[str, tuple[int, int]]
    incidents: Mapping[tuple[str, bool], int]
    queue: Mapping[str, tuple[int, datetime | None]]
    sizes: Mapping[str, int]


class Gauges(Collector):
    """A collector for the registry; `refresh` reads the store, `collect` hands out what was read."""

    def __init__(
        self,
        store: Store,
        running: Running,
        channels: Callable[[], Iterable[str]],
        *,
        clock: Callable[[], datetime],
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._running = running
        self._channels = channels
        self._clock = clock
        self._metrics = metrics
        self._reading = asyncio.Lock()
        self._tried: datetime | None = None
        self._families: tuple[Metric, ...] = ()

    def collect(self) -> Iterable[Metric]:
        """The series as they were last read."""
        return self._families

    async def refresh(self) -> None:
        """Reads the store, unless it was read a moment ago. A store that is away is no error here."""
        async with self._reading:
            now = self._clock()
            if self._tried is not None and timedelta(0) <= now - self._tried < _FRESH:
                return
            try:
                async with asyncio.timeout(_PATIENCE), self._store.read() as connection:
                    read = await self._read(connection, now)
            except (StoreError, TimeoutError):
                self._metrics.store_up.set(0)
                self._families = ()
            else:
                self._metrics.store_up.set(1)
                self._families = tuple(self._made(read))
            self._tried = now

    async def _read(self, connection: AsyncConnection, now: datetime) -> _Read:
        return _Read(
            streams=await readings.judged(connection),
            successes=await readings.last_successes(connection),
            baselines=await readings.standing_baselines(connection),
            asked=await readings.asked(connection),
            spent=await ledger.spent_today(connection, now.date()),
            incidents=await readings.open_incidents(connection),
            queue=await incidents.queue(connection),
            sizes=await readings.sizes(connection, self._store),
        )

    def _made(self, read: _Read) -> Iterable[Metric]:
        yield from _config(self._running)
        yield from _verdicts(read, self._running)
        yield from _probes(read, self._running)
        yield from _pools(read, self._running)
        yield _money(read, self._running)
        yield from _alerts(read, self._channels())
        yield _gauge(
            "store_bytes",
            "Size on disk with indexes.",
            ("table",),
            {(table,): size for table, size in read.sizes.items()},
        )


def _gauge(name: str, text: str, labels: Sequence[str], values: Mapping[_Labels, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"plumbline_{name}", text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _config(running: Running) -> Iterable[Metric]:
    config = running.config
    configured = sorted({name for each in config.endpoints.values() for name in each.labels})
    fixed = ["endpoint", "kind", "provider", "region", "model"]
    info = InfoMetricFamily("plumbline_endpoint", "What is watched.", labels=fixed + configured)
    for name, each in config.endpoints.items():
        model = str(getattr(each.settings, "model", ""))
        known = [name, each.kind, each.provider or "", each.region or "", model]
        info.add_metric([*known, *(each.labels.get(label, "") for label in configured)], {})
    yield info
    budget = config.false_alarms.at_most / (config.false_alarms.per / timedelta(days=1))
    yield _gauge(
        "false_alarm_budget_per_day",
        "False alarms that are accepted on average, over everything.",
        (),
        {(): budget},
    )
    intervals = {key: watch.interval.total_seconds() for key, watch in running.watches.items()}
    yield _gauge("probe_interval_seconds", "Time between rounds.", ("endpoint", "source"), intervals)


def _verdicts(read: _Read, running: Running) -> Iterable[Metric]:
    found: dict[str, dict[tuple[str, ...], float]] = {
        name: {}
        for name in ("verdict", "evidence_ratio", "effect_ratio", "effect_low_ratio", "effect_high_ratio")
    }
    for row in read.streams:
        if row.measure not in _ALARMING or (row.endpoint, row.source) not in running.watches:
            continue
        key = (row.endpoint, row.source, row.measure)
        verdict = verdict_from(row.verdict) if row.verdict else None
        found["verdict"][key] = _VERDICTS[verdict.kind if verdict else VerdictKind.LEARNING]
        found["evidence_ratio"][key] = verdict.evidence_ratio if verdict else 0.0
        ends = (verdict.effect, verdict.low, verdict.high) if verdict else ()
        for name, value in zip(("effect_ratio", "effect_low_ratio", "effect_high_ratio"), ends, strict=False):
            if value is not None:
                found[name][key] = value
    texts = {
        "verdict": "-1 learning, 0 steady, 1 suspect, 2 changed.",
        "evidence_ratio": "Evidence of a change; 1 is an alarm.",
        "effect_ratio": "Estimated change against the baseline, while there is one.",
        "effect_low_ratio": "Lower end of its 95 % interval.",
        "effect_high_ratio": "Upper end of its 95 % interval.",
    }
    for name, values in found.items():
        yield _gauge(name, texts[name], ("endpoint", "source", "measure"), values)


def _probes(read: _Read, running: Running) -> Iterable[Metric]:
    captured, stale = {}, {}
    for key, watch in running.watches.items():
        versions = read.baselines.get(key, ())
        active = readings.judging(versions, watch.subject)
        if active is not None:
            captured[key] = active.created.timestamp()
        stale[key] = float(active is None and any(row.state == baselines.STALE for row in versions))
    labels = ("endpoint", "source")
    yield _gauge(
        "probe_last_success_timestamp_seconds",
        "Slot of the newest round that was complete or partial.",
        labels,
        {key: at.timestamp() for key, at in read.successes.items() if key in running.watches},
    )
    yield _gauge("baseline_timestamp_seconds", "When the baseline that judges was begun.", labels, captured)
    yield _gauge(
        "baseline_stale", "1 while nothing judges because the endpoint became another one.", labels, stale
    )


def _pools(read: _Read, running: Running) -> Iterable[Metric]:
    keys = {
        (item.eval_set, split): set[str]()
        for watch in running.watches.values()
        for item in watch.pool.items
        for split in ("open", "held_out")
    }
    for watch in running.watches.values():
        for item in watch.pool.items:
            keys[item.eval_set, item.split].add(item.key)
    yield _gauge(
        "pool_cases",
        "Cases of an eval set.",
        ("eval_set", "split", "state"),
        {(name, split, "active"): len(cases) for (name, split), cases in keys.items()},
    )
    yield _gauge(
        "pool_coverage_ratio",
        "Share of the pool that was asked at least once.",
        ("endpoint", "source"),
        {
            key: min(1.0, read.asked.get(key, 0) / max(1, len(watch.cases)))
            for key, watch in running.watches.items()
        },
    )


def _money(read: _Read, running: Running) -> Metric:
    left = {}
    for name, endpoint in running.config.endpoints.items():
        if endpoint.limits.usd_per_day is not None:
            left[name, "day"] = endpoint.limits.usd_per_day - sum(read.spent.get(name, (0, 0))) / 1e9
    text = "Dollars of the UTC day that are neither spent nor set aside."
    return _gauge("budget_remaining_usd", text, ("scope", "period"), left)


def _alerts(read: _Read, channels: Iterable[str]) -> Iterable[Metric]:
    yield _gauge(
        "incidents_open",
        "Incidents that are not resolved.",
        ("severity", "acknowledged"),
        {
            (severity.value, str(told).lower()): read.incidents.get((severity.value, told), 0)
            for severity, told in product(Severity, (False, True))
        },
    )
    waiting = {(name,): 0 for name in channels} | {(name,): n for name, (n, _) in read.queue.items()}
    yield _gauge("notification_queue_length", "Messages not sent yet.", ("channel",), waiting)
    oldest = {(name,): at.timestamp() for name, (_, at) in read.queue.items() if at is not None}
    yield _gauge(
        "notification_oldest_timestamp_seconds", "Since when the oldest of them waits.", ("channel",), oldest
    )
