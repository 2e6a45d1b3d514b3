"""What gauges and pages read: each a short query over an index, never a look at single results."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store import baselines as states
from monitor.store.engine import Store
from monitor.store.incidents import FAILED
from monitor.store.tables import (
    baselines,
    detector_states,
    endpoints,
    eval_set_cases,
    events,
    exposures,
    incidents,
    metadata,
    notifications,
    replicas,
    round_stats,
    rounds,
    streams,
)

#: Ends of a round that answered the question it was for.
_ANSWERED = ("complete", "partial")

Key = tuple[str, str]


async def judged(connection: AsyncConnection) -> Sequence[Any]:
    """Open streams with their latest verdict and what the round behind it said; None where there is none."""
    s, d, r = streams, detector_states, round_stats
    query = (
        select(
            s.c.id,
            s.c.endpoint,
            s.c.source,
            s.c.measure,
            d.c.verdict,
            d.c.slot,
            r.c.n,
            r.c.mean,
            r.c.low,
            r.c.high,
        )
        .outerjoin(d, d.c.stream_id == s.c.id)
        .outerjoin(r, and_(r.c.stream_id == s.c.id, r.c.at == d.c.slot))
        .where(s.c.closed.is_(None))
        .order_by(s.c.endpoint, s.c.source, s.c.id)
    )
    return (await connection.execute(query)).all()


async def stats(connection: AsyncConnection, since: Mapping[int, datetime]) -> dict[int, list[Any]]:
    """Stream -> what its rounds said from a time on, oldest first."""
    starts: dict[datetime, list[int]] = {}
    for stream, start in since.items():
        starts.setdefault(start, []).append(stream)
    r = round_stats
    found: dict[int, list[Any]] = {stream: [] for stream in since}
    if starts:
        spans = [and_(r.c.stream_id.in_(ids), r.c.at >= start) for start, ids in starts.items()]
        query = select(r.c.stream_id, r.c.at, r.c.n, r.c.mean, r.c.low, r.c.high, r.c.verdict)
        for row in await connection.execute(query.where(or_(*spans), r.c.n > 0).order_by(r.c.at)):
            found[row.stream_id].append(row)
    return found


async def last_rounds(connection: AsyncConnection) -> dict[Key, Any]:
    """(endpoint, probe) -> the newest scheduled round that has ended."""
    newest = _newest(rounds.c.id).subquery()
    found = await connection.execute(
        select(rounds.c.endpoint, rounds.c.probe, rounds.c.slot, rounds.c.outcome, rounds.c.counts).where(
            rounds.c.id.in_(select(newest.c.newest))
        )
    )
    return {(row.endpoint, row.probe): row for row in found}


async def last_successes(connection: AsyncConnection) -> dict[Key, datetime]:
    """(endpoint, probe) -> the newest slot whose round was complete or partial."""
    found = await connection.execute(_newest(rounds.c.slot, rounds.c.outcome.in_(_ANSWERED)))
    return {(row.endpoint, row.source): row.newest for row in found if row.newest is not None}


def _newest(column: ColumnElement[Any], *more: ColumnElement[bool]) -> Select[Any]:
    """One column of the newest ended round of every watched pair: for each one walk down the slots' index."""
    pair = (
        select(streams.c.endpoint, streams.c.source).where(streams.c.closed.is_(None)).distinct().subquery()
    )
    newest = (
        select(column)
        .where(
            rounds.c.endpoint == pair.c.endpoint,
            rounds.c.probe == pair.c.source,
            rounds.c.kind == "scheduled",
            rounds.c.state == "closed",
            *more,
        )
        .order_by(rounds.c.slot.desc())
        .limit(1)
        .scalar_subquery()
        .label("newest")
    )
    return select(pair.c.endpoint, pair.c.source, newest)


async def standing_baselines(connection: AsyncConnection) -> dict[Key, list[Any]]:
    """(endpoint, probe) -> every version that still means something, newest first; of refused ones the newest."""
    b, later = baselines, baselines.alias("later")
    superseded = (
        select(later.c.id)
        .where(later.c.endpoint == b.c.endpoint, later.c.probe == b.c.probe, later.c.version > b.c.version)
        .exists()
    )
    found = await connection.execute(
        select(b.c.id, b.c.endpoint, b.c.probe, b.c.version, b.c.state, b.c.subject, b.c.reason, b.c.created)
        .where(b.c.state != states.RETIRED, or_(b.c.state != states.REFUSED, ~superseded))
        .order_by(b.c.version.desc())
    )
    by_key: dict[Key, list[Any]] = {}
    for row in found:
        by_key.setdefault((row.endpoint, row.probe), []).append(row)
    return by_key


def judging(versions: Sequence[Any], subject: str) -> Any | None:
    """The version that judges now: the accepted one, else the newest provisional one, of this very subject."""
    for state in (states.ACCEPTED, states.PROVISIONAL):
        for row in versions:
            if row.state == state and row.subject == subject:
                return row
    return None


async def captured(connection: AsyncConnection, endpoint: str, probe: str, baseline: str) -> int:
    """Usable replies that a capture has so far, as its ended rounds counted them."""
    found = await connection.execute(
        select(rounds.c.counts).where(
            rounds.c.endpoint == endpoint,
            rounds.c.probe == probe,
            rounds.c.kind == "baseline",
            rounds.c.baseline == baseline,
        )
    )
    return sum(int((row.counts or {}).get("ok", 0)) for row in found)


async def asked(connection: AsyncConnection) -> dict[Key, int]:
    """(endpoint, probe) -> how many of the cases that are active now were asked at least once."""
    c = eval_set_cases
    active = select(c.c.eval_set + "/" + c.c.case_id).where(c.c.retired.is_(None))
    found = await connection.execute(
        select(exposures.c.endpoint, exposures.c.probe, func.count())
        .where(exposures.c.case_key.in_(active))
        .group_by(exposures.c.endpoint, exposures.c.probe)
    )
    return {(endpoint, probe): count for endpoint, probe, count in found}


async def open_incidents(connection: AsyncConnection) -> dict[tuple[str, bool], int]:
    """(severity, acknowledged) -> how many are open."""
    i = incidents
    found = await connection.execute(
        select(i.c.severity, i.c.state, func.count())
        .where(i.c.state != "resolved")
        .group_by(i.c.severity, i.c.state)
    )
    return {(severity, state == "acknowledged"): count for severity, state, count in found}


async def untold(connection: AsyncConnection, incident_ids: Sequence[str]) -> Sequence[Any]:
    """Messages about these incidents that were given up: somebody was not told."""
    if not incident_ids:
        return ()
    n = notifications
    found = await connection.execute(
        select(n.c.incident_id, n.c.channel, n.c.reason)
        .where(n.c.incident_id.in_(incident_ids), n.c.state == FAILED)
        .order_by(n.c.seq)
    )
    return found.all()


async def endpoint_rows(connection: AsyncConnection) -> dict[str, Any]:
    """What is known of each endpoint that is in the config."""
    found = await connection.execute(select(endpoints).where(endpoints.c.closed.is_(None)))
    return {row.name: row for row in found}


async def newest_events(connection: AsyncConnection, limit: int) -> Sequence[Any]:
    """The newest events, newest first."""
    query = select(events).order_by(events.c.at.desc(), events.c.id.desc()).limit(limit)
    return (await connection.execute(query)).all()


async def last_beat(connection: AsyncConnection) -> datetime | None:
    """When a daemon last said that it lives."""
    found: datetime | None = (await connection.execute(select(func.max(replicas.c.seen)))).scalar()
    return found


async def sizes(connection: AsyncConnection, store: Store) -> dict[str, int]:
    """Table -> bytes with its indexes. SQLite knows its tables' sizes only by reading all of them: "all" there."""
    if store.is_sqlite:
        query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        return {"all": int((await connection.execute(text(query))).scalar_one())}
    found = await connection.execute(text(_POSTGRES_SIZES))
    return {name: int(size) for name, size in found if name in metadata.tables}


#: Partitions count for the table that they are part of.
_POSTGRES_SIZES = """
SELECT coalesce(whole.relname, part.relname), sum(pg_total_relation_size(part.oid))
FROM pg_class part
LEFT JOIN pg_inherits i ON i.inhrelid = part.oid
LEFT JOIN pg_class whole ON whole.oid = i.inhparent
WHERE part.relkind IN ('r', 'p') AND part.relnamespace = current_schema()::regnamespace
GROUP BY 1
"""

#: How many slots back the pictures go.
SLOTS_SHOWN = 48


def window(now: datetime, interval: timedelta) -> datetime:
    """Where the picture of a probe begins; whole minutes, so that probes of one cadence share a query."""
    return (now - SLOTS_SHOWN * interval).replace(second=0, microsecond=0)
