"""Makes the store agree with the config, at start and at each reload: the one place where the reload table lives.

| what changed | what follows |
|---|---|
| url host, key, headers, limits, price, timeout | an event, nothing else |
| every, cases_per_round | a new grid (the schedule's business), state kept, thresholds re-derived (the watch's) |
| kind, model, params | the baseline is stale, the streams learn |
| a case's question | that case is new again; nothing else (its references carry what was asked) |
| scorer, judge, target | the score stream starts anew on kept replies, scored again |
| removed | streams closed, incidents resolved "removed from config" |
| `was: old-name` | the history moves to the new name |
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Select, Table, delete, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts import Changes, Notice, close
from monitor.config.model import Config, Endpoint
from monitor.signals import state_keys
from monitor.store import baselines, incidents, streams
from monitor.store.engine import Store
from monitor.store.tables import baselines as baseline_table
from monitor.store.tables import (
    case_references,
    detector_snapshots,
    detector_states,
    endpoints,
    eval_set_cases,
    eval_set_versions,
    events,
    exposures,
    gates,
    ledger,
    metas,
    notifications,
    permits,
    results,
    rounds,
    rule_states,
)
from monitor.store.tables import incidents as incident_table
from monitor.store.tables import streams as stream_table
from monitor.watch import Watch, subject_hash
from probes.case import content_hash

_REMOVED = "removed from config"
#: Under which `meta` holds the hash of all that judging depends on, but stored results do not hold.
_JUDGED_UNDER = "judged_under"

#: Where the name of a thing stands: table -> column.
_ENDPOINT_COLUMNS: tuple[tuple[Table, str], ...] = (
    (endpoints, "name"),
    (rounds, "endpoint"),
    (results, "endpoint"),
    (stream_table, "endpoint"),
    (baseline_table, "endpoint"),
    (exposures, "endpoint"),
    (ledger, "endpoint"),
    (gates, "endpoint"),
    (permits, "endpoint"),
    (incident_table, "endpoint"),
    (events, "endpoint"),
)
_PROBE_COLUMNS: tuple[tuple[Table, str], ...] = (
    (rounds, "probe"),
    (results, "source"),
    (stream_table, "source"),
    (baseline_table, "probe"),
    (exposures, "probe"),
)
_EVAL_SET_COLUMNS: tuple[tuple[Table, str], ...] = (
    (eval_set_cases, "eval_set"),
    (eval_set_versions, "eval_set"),
)
#: Tables whose `case_key` begins with the name of the eval set.
_KEYED_BY_CASE: tuple[Table, ...] = (exposures, case_references, results)


async def rename(connection: AsyncConnection, config: Config) -> list[str]:
    """Moves the history of everything that carries `was` to its new name; says what it moved.

    Runs before anything is written under the new name. A second run finds nothing to move.
    """
    moved = []
    for kind, things, columns in (
        ("endpoint", config.endpoints, _ENDPOINT_COLUMNS),
        ("probe", config.probes, _PROBE_COLUMNS),
        ("eval set", config.eval_sets, _EVAL_SET_COLUMNS),
    ):
        for name, thing in things.items():
            if thing.was is not None and await _move(connection, columns, thing.was, name):
                if kind == "endpoint":  # their keys are made of the name: they would never be found again
                    await connection.execute(delete(rule_states).where(rule_states.c.endpoint == thing.was))
                if kind == "eval set":
                    await _move_cases(connection, thing.was, name)
                moved.append(f"{kind} {thing.was} is {name} now; its history moved along")
    return moved


async def _move(
    connection: AsyncConnection, columns: Iterable[tuple[Table, str]], old: str, new: str
) -> bool:
    known = False
    for table, column in columns:
        taken = await connection.execute(
            select(func.count()).select_from(table).where(table.c[column] == new)
        )
        if taken.scalar_one():
            return False  # the new name has a life of its own already: an old `was` left in the file
    for table, column in columns:
        done = await connection.execute(update(table).where(table.c[column] == old).values({column: new}))
        known = known or bool(done.rowcount)
    return known


async def _move_cases(connection: AsyncConnection, old: str, new: str) -> None:
    for table in _KEYED_BY_CASE:
        key = table.c.case_key
        await connection.execute(
            update(table)
            .where(key.startswith(f"{old}/", autoescape=True))
            .values(case_key=literal(new) + func.substr(key, len(old) + 1))
        )


async def reconcile(
    connection: AsyncConnection,
    store: Store,
    config: Config,
    watches: Sequence[Watch],
    *,
    notices: Callable[[AsyncConnection, Changes, datetime], Awaitable[list[Notice]]],
    now: datetime,
) -> list[str]:
    """Brings endpoints, baselines, streams and incidents in line; says what it did, for people.

    Runs inside one transaction.
    """
    said: list[str] = []
    for name, endpoint in config.endpoints.items():
        said += await _endpoint(connection, store, name, endpoint, now)
    for watch in watches:
        detectors = {measure.name: measure.detector for measure in watch.measures}
        await streams.open_streams(
            connection, store, endpoint=watch.endpoint, source=watch.probe, detectors=detectors, now=now
        )
    said += await _remove(connection, store, config, watches, notices, now)
    await _forget_snapshots(connection, store, watches)
    channels = config.alerts.channels.keys()
    await connection.execute(
        update(notifications)
        .where(
            notifications.c.state.in_([incidents.DUE, incidents.SENDING]),
            notifications.c.channel.not_in(channels),
        )
        .values(state=incidents.FAILED, reason="channel removed from config")
    )
    for text in said:
        await connection.execute(insert(events).values(at=now, kind="config", endpoint=None, text=text))
    return said


async def _endpoint(
    connection: AsyncConnection, store: Store, name: str, endpoint: Endpoint, now: datetime
) -> list[str]:
    subject, shown = subject_hash(endpoint), _shown(endpoint)
    row = (await connection.execute(select(endpoints).where(endpoints.c.name == name))).first()
    if row is None:
        await connection.execute(
            store.insert(endpoints)
            .values(
                name=name,
                subject=subject,
                settings=shown,
                state="ok",
                state_since=now,
                state_detail="",
                closed=None,
            )
            .on_conflict_do_nothing()
        )
        return []
    said = [
        f"{name}: {key.replace('_', ' ')} changed from {row.settings.get(key)} to {value}"
        for key, value in shown.items()
        if row.settings.get(key) != value
    ]
    values: dict[str, Any] = {"settings": shown, "subject": subject, "closed": None}
    if row.subject != subject:
        said.append(await _stale(connection, name, subject))
        values |= {"served_model": None, "fingerprint": None}
    await connection.execute(update(endpoints).where(endpoints.c.name == name).values(**values))
    return said


async def _stale(connection: AsyncConnection, endpoint: str, subject: str) -> str:
    """The endpoint is another one now: what was captured from the old one judges nobody any more."""
    await connection.execute(
        update(baseline_table)
        .where(
            baseline_table.c.endpoint == endpoint,
            baseline_table.c.subject != subject,
            baseline_table.c.state.in_([baselines.ACCEPTED, baselines.PROVISIONAL, baselines.CAPTURING]),
        )
        .values(state=baselines.STALE)
    )
    mine = select(stream_table.c.id).where(stream_table.c.endpoint == endpoint)
    await connection.execute(delete(detector_states).where(detector_states.c.stream_id.in_(mine)))
    return f"{endpoint}: model or params changed; the baseline is stale until a new one is captured"


async def _remove(
    connection: AsyncConnection,
    store: Store,
    config: Config,
    watches: Sequence[Watch],
    notices: Callable[[AsyncConnection, Changes, datetime], Awaitable[list[Notice]]],
    now: datetime,
) -> list[str]:
    wanted = {watch.key: {measure.name for measure in watch.measures} for watch in watches}
    gone = [
        row
        for row in await streams.listed(connection)
        if row.measure not in wanted.get((row.endpoint, row.source), set())
    ]
    await streams.close_streams(connection, [row.id for row in gone], now)
    pairs = sorted({(row.endpoint, row.source) for row in gone} - wanted.keys())
    # A probe that comes back starts over.
    keys = [key for pair in pairs for key in state_keys(*pair)]
    await connection.execute(delete(rule_states).where(rule_states.c.key.in_(keys)))
    known = {
        row.name for row in await connection.execute(select(endpoints).where(endpoints.c.closed.is_(None)))
    }
    for name in sorted(known - config.endpoints.keys()):
        await connection.execute(update(endpoints).where(endpoints.c.name == name).values(closed=now))

    def left(labels: Mapping[str, str]) -> bool:
        return (labels["endpoint"], labels.get("source", "")) not in wanted

    # A renamed thing counts as removed here: its open incident speaks of a name that nobody knows now.
    for endpoint in sorted({row.endpoint for row in await connection.execute(_open_incidents())}):
        changes = close(await incidents.load_open(connection, endpoint), left, now, _REMOVED)
        await incidents.apply(
            connection, store, endpoint, changes, await notices(connection, changes, now), now
        )
    return [f"{endpoint}/{probe}: removed; its streams are closed" for endpoint, probe in pairs]


async def _forget_snapshots(connection: AsyncConnection, store: Store, watches: Sequence[Watch]) -> None:
    """Where rounds are judged in another way from now on, a replay must not start before that."""
    way = content_hash(
        sorted([*watch.key, watch.subject, dict(watch.run_lengths), dict(watch.bases)] for watch in watches)
    )
    known = await connection.execute(select(metas.c.value).where(metas.c.key == _JUDGED_UNDER))
    if known.scalar() == way:
        return
    await connection.execute(delete(detector_snapshots))
    statement = store.insert(metas).values(key=_JUDGED_UNDER, value=way)
    await connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": way}))


def _open_incidents() -> Select[tuple[str]]:
    return select(incident_table.c.endpoint).where(incident_table.c.state != "resolved")


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    """What of an endpoint's settings may be kept and shown: never a key, never a header's value."""
    url = getattr(endpoint.settings, "url", None)
    return {
        "url_host": urlsplit(str(url)).netloc.rpartition("@")[2] if url else None,
        "limits": endpoint.limits.model_dump(mode="json"),
        "price": endpoint.price.model_dump(mode="json") if endpoint.price else None,
        "timeout": endpoint.timeout.total_seconds(),
        "labels": dict(sorted(endpoint.labels.items())),
    }
