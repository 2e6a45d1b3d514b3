"""Replays a stream from what is stored: from the newest snapshot through every round since, to the same state."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.drift.detector import Detector, Reference, Round, State
from monitor.drift.replay import replay
from monitor.judge import Given, as_round, observations, roles
from monitor.measures import Measure
from monitor.store import baselines, streams
from monitor.store.engine import Store
from monitor.store.rounds import Claim
from monitor.store.tables import detector_snapshots, results, round_stats, rounds
from monitor.watch import NO_BASELINE, Watch


class NothingToReplay(Exception):
    """The stream has no snapshot since its config was last read: it was not judged yet."""


def judging(own: str, measure: Measure, base: str) -> str:
    """Which detector judges a stream.

    Args:
        own: The stream's own one.
        measure: What the stream measures.
        base: What it is judged against, see `Watch.windowed`.
    """
    return measure.without_baseline if measure.needs_baseline and base.startswith(NO_BASELINE) else own


async def keep_snapshot(
    connection: AsyncConnection,
    store: Store,
    watch: Watch,
    measure: Measure,
    claim: Claim,
    *,
    stream_id: int,
    baseline: str,
    prior: Mapping[str, float],
    state: State,
    anew: bool,
) -> None:
    """Keeps state and reference as they stand before a round, where it is the first of its day.

    Args:
        connection: The closing transaction of the round.
        store: The store.
        watch: The watch of the round.
        measure: What the stream measures.
        claim: The round.
        stream_id: The stream.
        baseline: What it is judged against; empty where it needs no baseline.
        prior: What was fitted at the capture.
        state: The detector's state before the round.
        anew: Whether the stream starts over with this round; what the day had kept leads nowhere then.
    """
    day = claim.slot.date()
    if anew:
        await connection.execute(
            delete(detector_snapshots).where(
                detector_snapshots.c.stream_id == stream_id, detector_snapshots.c.day == day
            )
        )
    elif await streams.has_snapshot(connection, stream_id, day):
        return
    whole = await baselines.load_reference(
        connection,
        baseline=baseline,
        measure=measure.name,
        prior=prior,
        basis=watch.basis(measure, list(watch.cases)),
    )
    await streams.snapshot(
        connection,
        store,
        stream_id=stream_id,
        day=day,
        slot=claim.slot,
        baseline=baseline,
        state=state,
        reference=whole,
    )


async def replayed(
    store: Store, watch: Watch, measure: Measure, detector: Callable[[str], Detector]
) -> tuple[State, Reference]:
    """The detector state and the reference that the stored results lead to, under the config that holds now.

    Raises:
        NothingToReplay: There is no snapshot to start from.
    """
    async with store.read() as connection:
        stream = next(
            row
            for row in await streams.listed(connection, watch.endpoint, watch.probe)
            if row.measure == measure.name
        )
        kept = await streams.newest_snapshot(connection, stream.id)
        if kept is None:
            raise NothingToReplay(f"{watch.endpoint}/{watch.probe} {measure.name} was not judged yet")
        slot, base, state, reference = kept
        judged = await _judged_since(connection, watch, stream.id, measure, slot)
        rows = await _results_of(connection, watch, judged)
    past = (_round(watch, measure, each, rows.get(each.id, ())) for each in judged)
    judge = detector(judging(stream.detector, measure, base))
    return replay(judge, state, reference, (round for round in past if round is not None))


async def _judged_since(
    connection: AsyncConnection, watch: Watch, stream_id: int, measure: Measure, slot: datetime | None
) -> Sequence[Any]:
    """The rounds that this stream was judged by, from the one at `slot` on, in the order of their closing."""
    kinds = ["scheduled"] if measure.needs_baseline else ["scheduled", "baseline"]
    mine = (rounds.c.endpoint == watch.endpoint) & (rounds.c.probe == watch.probe) & rounds.c.kind.in_(kinds)
    judged = mine & rounds.c.counts.is_not(None)
    first = select(func.min(rounds.c.closed)).where(judged, rounds.c.slot == slot).scalar_subquery()
    found = await connection.execute(
        select(rounds.c.id, rounds.c.slot, rounds.c.counts, rounds.c.panel, round_stats.c.given)
        .join(round_stats, round_stats.c.round_id == rounds.c.id)
        .where(judged, rounds.c.closed >= first, round_stats.c.stream_id == stream_id)
        .order_by(rounds.c.closed)
    )
    return found.all()


async def _results_of(
    connection: AsyncConnection, watch: Watch, judged: Sequence[Any]
) -> dict[str, list[Any]]:
    """Round -> its attempts, in panel order."""
    by_round: dict[str, list[Any]] = {each.id: [] for each in judged}
    if judged:
        found = await connection.execute(
            select(results)
            .where(
                results.c.endpoint == watch.endpoint,
                results.c.source == watch.probe,
                results.c.at >= min(each.slot for each in judged),
            )
            .order_by(results.c.at, results.c.seq)
        )
        for row in found:
            by_round.setdefault(row.round_id, []).append(row)
    return by_round


def _round(watch: Watch, measure: Measure, judged: Any, rows: Sequence[Any]) -> Round | None:
    """What the detector was given; None where the round had nothing for it."""
    if judged.given is None:
        return None
    seen = observations(
        measure, rows, uplink_up=judged.counts["uplink_up"], keys=watch.cases, roles=roles(judged.panel)
    )
    return as_round(watch.endpoint, watch.probe, judged.slot, seen, Given(**judged.given))
