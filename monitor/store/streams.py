"""Streams, their detector states, and what each round said on them."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.drift.detector import CaseReference, Reference, Verdict, VerdictKind
from monitor.store.engine import Store, slices
from monitor.store.errors import Superseded
from monitor.store.tables import detector_snapshots, detector_states, round_stats, streams

#: Detector state is small by contract; a plugin that outgrows this is refused rather than stored.
STATE_LIMIT = 4096


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain JSON; an infinite threshold (not known yet) is null."""
    body = asdict(verdict)
    body["threshold"] = verdict.threshold if verdict.threshold != float("inf") else None
    return body


def verdict_from(body: Mapping[str, Any]) -> Verdict:
    """The verdict that `verdict_json` wrote."""
    since = body["since"]
    return Verdict(
        **{
            **body,
            "kind": VerdictKind(body["kind"]),
            "threshold": float("inf") if body["threshold"] is None else body["threshold"],
            "since": None if since is None else datetime.fromisoformat(since),
            "cases": tuple(body["cases"]),
        }
    )


async def open_streams(
    connection: AsyncConnection,
    store: Store,
    *,
    endpoint: str,
    source: str,
    detectors: Mapping[str, str],
    now: datetime,
) -> None:
    """Makes the streams of one (endpoint, source): measure -> detector. A closed one opens again."""
    statement = store.insert(streams)
    statement = statement.on_conflict_do_update(
        index_elements=["endpoint", "source", "measure", "slice"],
        set_={"closed": None, "detector": statement.excluded.detector},
    )
    rows = [
        {
            "endpoint": endpoint,
            "source": source,
            "measure": measure,
            "slice": "",
            "detector": detector,
            "opened": now,
            "closed": None,
        }
        for measure, detector in sorted(detectors.items())
    ]
    await connection.execute(statement, rows)


async def close_streams(connection: AsyncConnection, ids: Sequence[int], now: datetime) -> None:
    """Ends streams; their history stays."""
    for some in slices(ids):
        await connection.execute(update(streams).where(streams.c.id.in_(some)).values(closed=now))


async def listed(
    connection: AsyncConnection, endpoint: str | None = None, source: str | None = None
) -> Sequence[Row[Any]]:
    """Open streams with their latest verdict (None before the first round)."""
    query = (
        select(
            streams,
            detector_states.c.verdict,
            detector_states.c.slot,
            detector_states.c.seq,
            detector_states.c.version,
            detector_states.c.baseline,
            detector_states.c.state,
        )
        .outerjoin(detector_states, detector_states.c.stream_id == streams.c.id)
        .where(streams.c.closed.is_(None))
        .order_by(streams.c.endpoint, streams.c.source, streams.c.id)
    )
    if endpoint is not None:
        query = query.where(streams.c.endpoint == endpoint)
    if source is not None:
        query = query.where(streams.c.source == source)
    return (await connection.execute(query)).all()


async def save_state(
    connection: AsyncConnection,
    store: Store,
    *,
    stream_id: int,
    seq: int,
    version: int,
    baseline: str,
    state: Mapping[str, Any],
    verdict: Verdict,
    slot: datetime,
) -> None:
    """Writes a state if the stored one still carries `seq` (0: there is none).

    Raises:
        Superseded: Another replica judged this stream meanwhile.
        ValueError: The state is larger than the contract allows.
    """
    size = len(orjson.dumps(state))
    if size > STATE_LIMIT:
        raise ValueError(
            f"detector state of stream {stream_id} has {size} bytes; at most {STATE_LIMIT} may be kept"
        )
    values = {
        "seq": seq + 1,
        "version": version,
        "baseline": baseline,
        "state": dict(state),
        "verdict": verdict_json(verdict),
        "slot": slot,
    }
    if seq == 0:
        statement = (
            store.insert(detector_states).values(stream_id=stream_id, **values).on_conflict_do_nothing()
        )
    else:
        statement = (
            update(detector_states)
            .where(detector_states.c.stream_id == stream_id, detector_states.c.seq == seq)
            .values(**values)
        )
    if (await connection.execute(statement)).rowcount != 1:
        raise Superseded(f"stream {stream_id} was judged by another replica")


async def snapshot(
    connection: AsyncConnection,
    store: Store,
    *,
    stream_id: int,
    day: date,
    slot: datetime | None,
    baseline: str,
    state: Mapping[str, Any],
    reference: Reference,
) -> None:
    """Keeps where a stream stood before the day's first round; a second call on one day does nothing."""
    body = {
        "state": dict(state),
        "prior": dict(reference.prior),
        "cases": {key: [c.runs, c.total, c.total_sq] for key, c in reference.cases.items()},
        "residuals": list(reference.residuals),
    }
    statement = store.insert(detector_snapshots).values(
        stream_id=stream_id, day=day, slot=slot, baseline=baseline, body=zlib.compress(orjson.dumps(body))
    )
    await connection.execute(statement.on_conflict_do_nothing())


async def has_snapshot(connection: AsyncConnection, stream_id: int, day: date) -> bool:
    """Whether the day's snapshot is already kept."""
    found = await connection.execute(
        select(detector_snapshots.c.day).where(
            detector_snapshots.c.stream_id == stream_id, detector_snapshots.c.day == day
        )
    )
    return found.first() is not None


async def newest_snapshot(
    connection: AsyncConnection, stream_id: int
) -> tuple[datetime | None, str, dict[str, Any], Reference] | None:
    """The last kept (slot, baseline, state, reference) of a stream."""
    found = await connection.execute(
        select(detector_snapshots)
        .where(detector_snapshots.c.stream_id == stream_id)
        .order_by(detector_snapshots.c.day.desc())
        .limit(1)
    )
    row = found.first()
    if row is None:
        return None
    body = orjson.loads(zlib.decompress(row.body))
    cases = {key: CaseReference(runs=r, total=t, total_sq=q) for key, (r, t, q) in body["cases"].items()}
    reference = Reference(prior=body["prior"], cases=cases, residuals=tuple(body["residuals"]))
    return row.slot, row.baseline, body["state"], reference


async def add_stats(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Stores what one round said on its streams."""
    if rows:
        await connection.execute(insert(round_stats), list(rows))
