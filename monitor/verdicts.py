"""Every stream of one round, judged against the active baseline: verdicts, states, and what was learnt."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.drift.detector import Detector, Reference, Role, Round, State, Step, Verdict, VerdictKind
from monitor.drift.replay import apply, refitted
from monitor.drift.together import part, pooled
from monitor.judge import Given, as_round, observations, roles
from monitor.measures import MEASURES, Measure
from monitor.replay import judging, keep_snapshot
from monitor.stat import Stat, summarise
from monitor.store import baselines, streams
from monitor.store.baselines import Baseline
from monitor.store.engine import Store
from monitor.store.rounds import Claim, Wishes
from monitor.watch import Watch

_LEARNING = Verdict(kind=VerdictKind.LEARNING, note="no baseline yet")


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One stream of a closed round.

    Attributes:
        step: What its detector made of the round; None where there was nothing to judge.
        given: What the detector was given besides the replies; None with `step`.
    """

    measure: Measure
    verdict: Verdict
    stat: Stat | None
    became_changed: bool
    step: Step | None = None
    given: Given | None = None


@dataclass(frozen=True, kw_only=True)
class _Heard:
    """One stream before its detector, with all that this one needs."""

    stream: Any
    measure: Measure
    detector: Detector
    state: State
    reference: Reference
    before: Verdict
    stat: Stat | None
    round: Callable[[Given], Round]
    given: Given

    async def step(self, given: Given, *, slowly: bool) -> Step:
        """The detector's step; in a thread where its first call may take a second, to import what only few need."""
        arguments = self.state, self.reference, self.round(given)
        return (
            await asyncio.to_thread(self.detector.update, *arguments)
            if slowly
            else self.detector.update(*arguments)
        )


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

        The streams of an endpoint share one budget: they alarm where their evidence together is worth an alarm, so
        that each is first judged alone, and once more with what the others say where that may change its verdict.

        Raises:
            Superseded: Another replica judged a stream meanwhile.
        """
        found = await streams.listed(self.connection, self.watch.endpoint)
        heard: list[tuple[Any, _Heard | Judged]] = []
        for stream in found:
            measure = MEASURES[stream.measure]
            if stream.source != self.watch.probe or (
                self.claim.kind == "baseline" and measure.needs_baseline
            ):
                continue  # the replies of a capture make the baseline; they cannot be judged by it
            heard.append((stream, await self._hear(stream, measure)))
        judging = {stream.id for stream, each in heard if isinstance(each, _Heard)}
        steps = await self._steps(
            {stream.id: each for stream, each in heard if isinstance(each, _Heard)},
            [
                _verdict(stream)
                for stream in found
                if stream.id not in judging and MEASURES[stream.measure].alarms
            ],
        )
        judged, stats = [], []
        for stream, each in heard:
            if isinstance(each, _Heard):
                each = await self._conclude(each, *steps[stream.id])
            judged.append(each)
            stats.append(_stat_row(stream.id, self.claim, each))
        await streams.add_stats(self.connection, stats)
        return judged

    async def _hear(self, stream: Any, measure: Measure) -> _Heard | Judged:
        watch = self.watch
        seen = observations(
            measure, self.rows, uplink_up=self.uplink_up, keys=watch.cases, roles=roles(self.claim.panel)
        )
        regular = [each for each in seen if each.role is Role.REGULAR]
        weights = [watch.cases[each.case].weight for each in regular]
        share = measure.unit in ("score", "failures")
        stat = summarise([each.value for each in regular], weights, share=share)
        if measure.needs_baseline and self.baseline is None and watch.baseline.capture:
            return Judged(measure=measure, verdict=_LEARNING, stat=stat, became_changed=False)
        if not seen:
            return Judged(measure=measure, verdict=_verdict(stream), stat=stat, became_changed=False)
        detector = self.detector(judging(stream.detector, measure, self._base(measure)))
        known = (
            stream.state is not None
            and stream.baseline == self._base(measure)
            and stream.version == detector.version
        )
        state = stream.state if known else detector.start()
        await self._keep_snapshot(stream.id, measure, state, anew=not known)
        allowed = watch.allowances.get(measure.name)
        return _Heard(
            stream=stream,
            measure=measure,
            detector=detector,
            state=state,
            reference=await self._reference(measure, [each.case for each in seen]),
            before=_verdict(stream),
            stat=stat,
            round=partial(as_round, *watch.key, self.claim.slot, seen),
            given=Given() if allowed is None else Given(run_length=allowed.run_length, moved=allowed.moved),
        )

    async def _steps(
        self, heard: Mapping[int, _Heard], others: Sequence[Verdict]
    ) -> dict[int, tuple[Given, Step]]:
        """What each detector made of the round, and what it was given.

        Args:
            heard: Stream -> its hearing.
            others: The last verdicts of the endpoint's other streams that alarm.
        """
        slowly = self.baseline is None
        steps = {id: (each.given, await each.step(each.given, slowly=slowly)) for id, each in heard.items()}
        parts = {
            id: 1.0 if _fresh(each.before, steps[id][1].verdict) else part(steps[id][1].verdict)
            for id, each in heard.items()
            if each.measure.alarms
        }
        whole = math.fsum(parts.values()) + pooled(others)
        if whole < 1.0:
            return steps
        for id, own in parts.items():
            each, (given, step) = heard[id], steps[id]
            if step.verdict.kind is not VerdictKind.CHANGED and own >= given.moved:
                told = replace(given, pooled=whole - own)
                steps[id] = told, await each.step(told, slowly=slowly)
        return steps

    async def _conclude(self, heard: _Heard, given: Given, step: Step) -> Judged:
        await streams.save_state(
            self.connection,
            self.store,
            stream_id=heard.stream.id,
            seq=heard.stream.seq or 0,
            version=heard.detector.version,
            baseline=self._base(heard.measure),
            state=step.state,
            verdict=step.verdict,
            slot=self.claim.slot,
        )
        await self._learn(heard.measure, heard.reference, step)
        if step.refit:
            await self._refit(heard.measure, heard.detector, step)
        return Judged(
            measure=heard.measure,
            verdict=step.verdict,
            stat=heard.stat,
            became_changed=_fresh(heard.before, step.verdict),
            step=step,
            given=given,
        )

    def _base(self, measure: Measure) -> str:
        """What the measure is judged against: a baseline, its own window, or nothing (empty)."""
        if not measure.needs_baseline:
            return ""
        return self.watch.windowed(measure) if self.baseline is None else self.baseline.id

    def _prior(self, measure: Measure) -> Mapping[str, float]:
        fits = self.baseline.fits if self.baseline is not None and measure.needs_baseline else {}
        fit = fits.get(measure.name) or {}
        return {name: value for name, value in fit.items() if name != baselines.FITTED_BY}

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

    async def _refit(self, measure: Measure, detector: Detector, step: Step) -> None:
        """Fits the pool again, after all that its cases have learnt."""
        if self.baseline is None:
            return
        whole = refitted(detector, await self._reference(measure, list(self.watch.cases)), step)
        await baselines.set_fit(self.connection, self.baseline.id, measure.name, whole.prior)


def unmoved(judged: Sequence[Judged]) -> list[str]:
    """What was looked at, may alarm and did not move, for people: it says as much as what did."""
    return [
        each.measure.name.replace("_", " ")
        for each in judged
        if each.measure.alarms and each.step is not None and each.verdict.kind is VerdictKind.STEADY
    ]


def wished(judged: Sequence[Judged]) -> Wishes:
    """What detection wishes the next round to ask besides its panel."""
    steps = [each.step for each in judged if each.step is not None]
    again = dict.fromkeys(case for step in steps for case in step.again)
    return Wishes(again=tuple(again), burst=any(step.burst for step in steps))


def _verdict(stream: Any) -> Verdict:
    return streams.verdict_from(stream.verdict) if stream.verdict else _LEARNING


def _fresh(before: Verdict, now: Verdict) -> bool:
    return now.kind is VerdictKind.CHANGED and before.kind is not VerdictKind.CHANGED


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
        "given": asdict(each.given) if each.given is not None else None,
        "log_bets": list(each.step.log_bets) if each.step is not None and each.step.log_bets else None,
    }
