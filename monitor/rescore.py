"""Scores kept replies again after a scorer, a judge or a target changed, so that no case starts from nothing."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor import capture
from monitor.drift.detector import Detector
from monitor.measures import MEASURES
from monitor.results import read_reply
from monitor.store import baselines
from monitor.store.baselines import Baseline
from monitor.store.engine import Store
from monitor.store.tables import baselines as baseline_table
from monitor.store.tables import case_references, detector_states, reply_texts, residual_samples, streams
from monitor.watch import Watch
from probes import OURS, Ask, Outcome, Reply, Result, Timings
from probes.probe import JUDGE_DOWN, score_reply

log = logging.getLogger("plumbline")

_SCORE = MEASURES["score"]
#: Why a reply has no score although nothing is wrong with it.
_UNASKED = frozenset({JUDGE_DOWN, *OURS})


async def rescore(store: Store, watch: Watch, detector: Callable[[str], Detector]) -> int:
    """Rebuilds the score references of the active baseline where the way of scoring changed.

    Where scoring asks a judge, the caller is a round with its judges at work, and a judge that often fails leaves
    everything as it is: the next round tries again.

    Returns:
        How many kept replies were scored again; 0 where nothing had changed.
    """
    async with store.read() as connection:
        baseline = await baselines.active(connection, *watch.key, watch.subject)
        if baseline is None or not (outdated := await _outdated(connection, watch, baseline.id)):
            return 0
        rows = [
            row
            for row in await baselines.captured_results(connection, baseline.id)
            if row.outcome == Outcome.OK and capture.asked_today(watch, row)
        ]
        if outdated.isdisjoint(row.case_key for row in rows):
            return 0  # these cases ask something else than before: their next replies make their references
        kept = await _kept(connection, [row.reply_hash for row in rows if row.reply_hash])
    scored = await asyncio.gather(
        *(_again(watch, row, kept[row.reply_hash]) for row in rows if row.reply_hash in kept)
    )
    unasked = sum(row.unasked for row in scored)
    if unasked > capture.MOST_FAILED * len(scored):
        log.warning(
            "%s/%s: %d of %d kept replies could not be scored again, because a judge (%s) failed or may not be "
            "asked; the next round tries again",
            *watch.key,
            unasked,
            len(scored),
            ", ".join(sorted(watch.judges)),
        )
        return 0
    async with store.write() as connection:
        await _make_anew(connection, store, watch, baseline, scored, detector, [_SCORE.name])
    return len(scored)


async def refit(store: Store, watch: Watch, detector: Callable[[str], Detector]) -> list[str]:
    """Rebuilds, from the kept capture, the references that an earlier version of a detector had made.

    Returns:
        The measures that were rebuilt. What the streams had learnt since the capture is learnt again.
    """
    async with store.read() as connection:
        baseline = await baselines.active(connection, *watch.key, watch.subject)
        if baseline is None:
            return []
        old = [
            measure.name
            for measure in watch.measures
            if measure.name in baseline.fits
            and baseline.fits[measure.name].get(baselines.FITTED_BY, 1) != detector(measure.detector).version
        ]
        rows = await baselines.captured_results(connection, baseline.id) if old else []
    if not old:
        return []
    async with store.write() as connection:
        await _make_anew(connection, store, watch, baseline, rows, detector, old)
    return old


async def _make_anew(
    connection: AsyncConnection,
    store: Store,
    watch: Watch,
    baseline: Baseline,
    rows: Sequence[Any],
    detector: Callable[[str], Detector],
    measures: Sequence[str],
) -> None:
    """Replaces the references of some measures; their streams start over."""
    for table in (case_references, residual_samples):
        await connection.execute(
            delete(table).where(table.c.baseline == baseline.id, table.c.measure.in_(measures))
        )
    fits = await capture.fit(connection, store, watch, baseline.id, rows, detector, only=measures)
    kept = {name: fit for name, fit in baseline.fits.items() if name not in measures}
    await connection.execute(
        update(baseline_table).where(baseline_table.c.id == baseline.id).values(fits={**kept, **fits})
    )
    mine = select(streams.c.id).where(
        streams.c.endpoint == watch.endpoint,
        streams.c.source == watch.probe,
        streams.c.measure.in_(measures),
    )
    await connection.execute(delete(detector_states).where(detector_states.c.stream_id.in_(mine)))


async def _outdated(connection: AsyncConnection, watch: Watch, baseline: str) -> set[str]:
    """The cases whose reference was made by another way of scoring, or from another question."""
    found = await connection.execute(
        select(case_references.c.case_key, case_references.c.basis).where(
            case_references.c.baseline == baseline, case_references.c.measure == _SCORE.name
        )
    )
    today = watch.basis(_SCORE, list(watch.cases))
    return {key for key, basis in found if key in today and basis != today[key]}


async def _kept(connection: AsyncConnection, hashes: Sequence[str]) -> dict[str, bytes]:
    kept: dict[str, bytes] = {}
    for start in range(0, len(hashes), 500):  # SQLite takes a limited number of parameters
        found = await connection.execute(
            select(reply_texts.c.hash, reply_texts.c.body).where(
                reply_texts.c.hash.in_(hashes[start : start + 500])
            )
        )
        kept |= {row.hash: row.body for row in found}
    return kept


async def _again(watch: Watch, row: Any, body: bytes) -> Any:
    """The stored attempt with today's score."""
    ask = Ask(seq=row.seq, case=watch.cases[row.case_key], scorers=watch.scorers[row.case_key])
    text, tool_calls = read_reply(body)
    reply = Reply(
        text=text,
        timings=Timings(total=row.elapsed),
        finish_reason=row.finish_reason,
        tool_calls=tool_calls,
    )
    scores = await score_reply(ask, reply)
    result = Result(
        ask=ask, started=row.started, outcome=Outcome.OK, elapsed=row.elapsed, reply=reply, scores=scores
    )
    unasked = any(score.reason in _UNASKED for score in scores.values())
    return SimpleNamespace(**{**row._mapping, "score": result.score, "unasked": unasked})
