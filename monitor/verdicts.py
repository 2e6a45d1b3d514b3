"""Every stream of one round, judged against the active baseline: verdicts, states, and what was learnt."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.drift.detector import Detector, Reference, Step, Verdict, VerdictKind
from monitor.drift.replay import apply
from monitor.judge import as_round, observations
from monitor.measures import MEASURES, Measure
from monitor.replay import judging, keep_snapshot
from monitor.stat import Stat, summarise
from monitor.store import baselines, streams
from monitor.store.baselines import Baseline
from monitor.store.engine import Store
from monitor.store.rounds import Claim
from monitor.watch import Watch

_LEARNING = Verdict(kind=VerdictKind.LEARNING, note="no baseline yet")


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One stream of a closed round."""

    measure: Measure
    verdict: Verdict
    stat: Stat | None
    became_changed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Hearing:
    """One round before its judges, inside its closing transaction.

    Attributes:
        rows: The round's stored attempts, in panel order.
        uplink_up: Whether network failures of this round may be held against the endpoint.
        baseline: What judges now; None before there is one.
    """

    connection: AsyncConnection
    store: Store
    detector: Callable[[str], Detector]
    watch: Watch
    claim: Claim
    rows: Sequence[Any]
    uplink_up: bool
    baseline: Baseline | None

    async def judge(self) -> list[Judged]:
        """Judges every open stream of the watch and stores what follows.

        Raises:
            Superseded: Another replica judged a stream meanwhile.
        """
        judged, stats = [], []
        for stream in await streams.listed(self.connection, *self.watch.key):
            measure = MEASURES[stream.measure]
            if self.claim.kind == "baseline" and measure.needs_baseline:
                continue  # these replies make the baseline; they cannot be judged by it
            each = await self._stream(stream, measure)
            judged.append(each)
            stats.append(_stat_row(stream.id, self.claim, each))
        await streams.add_stats(self.connection, stats)
        return judged

    async def _stream(self, stream: Any, measure: Measure) -> Judged:
        watch = self.watch
        seen = observations(measure, self.rows, uplink_up=self.uplink_up, keys=watch.cases)
        weights = [watch.cases[each.case].weight for each in seen]
        share = measure.unit in ("score", "failures")
        stat = summarise([each.value for each in seen], weights, share=share)
        before = streams.verdict_from(stream.verdict) if stream.verdict else _LEARNING
        if measure.needs_baseline and self.baseline is None and watch.baseline.capture:
            return Judged(measure=measure, verdict=_LEARNING, stat=stat, became_changed=False)
        if not seen:
            return Judged(measure=measure, verdict=before, stat=stat, became_changed=False)
        detector = self.detector(judging(stream.detector, measure, self._base(measure)))
        known = (
            stream.state is not None
            and stream.baseline == self._base(measure)
            and stream.version == detector.version
        )
        state = stream.state if known else detector.start()
        reference = await self._reference(measure, [each.case for each in seen])
        await self._keep_snapshot(stream.id, measure, state, anew=not known)
        round = as_round(*watch.key, self.claim.slot, seen, watch.run_lengths.get(measure.name))
        # In a thread where the first call may take a second, to import what only few need.
        step = (
            await asyncio.to_thread(detector.update, state, reference, round)
            if measure.needs_baseline and self.baseline is None
            else detector.update(state, reference, round)
        )
        await streams.save_state(
            self.connection,
            self.store,
            stream_id=stream.id,
            seq=stream.seq or 0,
            version=detector.version,
            baseline=self._base(measure),
            state=step.state,
            verdict=step.verdict,
            slot=self.claim.slot,
        )
        await self._learn(measure, reference, step)
        fresh = step.verdict.kind is VerdictKind.CHANGED and before.kind is not VerdictKind.CHANGED
        return Judged(measure=measure, verdict=step.verdict, stat=stat, became_changed=fresh)

    def _base(self, measure: Measure) -> str:
        """What the measure is judged against: a baseline, its own window, or nothing (empty)."""
        if not measure.needs_baseline:
            return ""
        return self.watch.windowed(measure) if self.baseline is None else self.baseline.id

    def _prior(self, measure: Measure) -> Mapping[str, float]:
        fits = self.baseline.fits if self.baseline is not None and measure.needs_baseline else {}
        return fits.get(measure.name) or {}

    async def _reference(self, measure: Measure, keys: Sequence[str]) -> Reference:
        return await baselines.load_reference(
            self.connection,
            baseline=self._base(measure),
            measure=measure.name,
            prior=self._prior(measure),
            basis=self.watch.basis(measure, keys),
        )

    async def _keep_snapshot(
        self, stream_id: int, measure: Measure, state: Mapping[str, Any], *, anew: bool
    ) -> None:
        await keep_snapshot(
            self.connection,
            self.store,
            self.watch,
            measure,
            self.claim,
            stream_id=stream_id,
            baseline=self._base(measure),
            prior=self._prior(measure),
            state=state,
            anew=anew,
        )

    async def _learn(self, measure: Measure, reference: Reference, step: Step) -> None:
        base = self._base(measure)
        if step.learned:
            await baselines.write_reference(
                self.connection,
                self.store,
                baseline=base,
                measure=measure.name,
                reference=Reference(prior=reference.prior, cases=step.learned),
                basis=self.watch.basis(measure, list(step.learned)),
            )
        if step.residuals:
            after = apply(reference, step)
            await baselines.write_residuals(self.connection, self.store, base, measure.name, after.residuals)


def _stat_row(stream_id: int, claim: Claim, each: Judged) -> dict[str, Any]:
    stat, threshold = each.stat, each.verdict.threshold
    return {
        "stream_id": stream_id,
        "at": claim.slot,
        "round_id": claim.id,
        "n": stat.n if stat else 0,
        "mean": stat.mean if stat else None,
        "variance": stat.variance if stat else None,
        "low": stat.low if stat else None,
        "high": stat.high if stat else None,
        "sketch": stat.sketch if stat else None,
        "verdict": str(each.verdict.kind),
        "evidence": each.verdict.evidence,
        "threshold": threshold if threshold != float("inf") else None,
    }
