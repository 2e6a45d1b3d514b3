"""Closes a round: detectors update, verdicts become signals, signals become incidents and messages owed.

All of it is one transaction, under the round's fence and the endpoint's lock: after a crash either the
round is still open and is judged again from its stored replies, or everything it led to is written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts import Changes, Notice, Route, Signal, destinations, evaluate, owed
from monitor.drift.detector import Detector, Step, Verdict, VerdictKind
from monitor.drift.replay import apply
from monitor.judge import NEVER_SENT, as_round, counts, held_against, observations, round_outcome
from monitor.measures import MEASURES, Measure
from monitor.replay import keep_snapshot
from monitor.signals import RULES, settled, state_signals, verdict_signal
from monitor.stat import Stat, summarise
from monitor.store import baselines, incidents, ledger, rounds, streams
from monitor.store.baselines import Baseline
from monitor.store.engine import Store
from monitor.store.rounds import Claim
from monitor.store.tables import endpoints, events
from monitor.watch import Watch
from probes import Outcome

_LEARNING = Verdict(kind=VerdictKind.LEARNING, note="no baseline yet")


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One stream of a closed round."""

    measure: Measure
    verdict: Verdict
    stat: Stat | None
    became_changed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Closed:
    """What a round came to, for the log, the metrics and the terminal."""

    claim: Claim
    outcome: str
    outcomes: Mapping[str, int]
    judged: Sequence[Judged]
    changes: Changes
    model_changes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Assessor:
    """Judges rounds and writes what follows."""

    store: Store
    detector: Callable[[str], Detector]
    routes: Sequence[Route]
    default_channel: str | None
    links: Callable[[str], Mapping[str, str]]
    new_id: Callable[[str, datetime], str]
    clock: Callable[[], datetime]

    async def close(
        self, watch: Watch, claim: Claim, *, uplink_up: bool, forced: str | None = None
    ) -> Closed:
        """Judges what a round has stored and closes it, all or nothing.

        Args:
            watch: The watch of the round.
            claim: The round; its fence is checked.
            uplink_up: Whether network failures of this round may be held against the endpoint.
            forced: The outcome where the round could not be finished ("partial").

        Raises:
            Superseded: Another replica has the round; nothing was written.
            StoreUnavailable: The database is away; nothing was written.
        """
        async with self.store.write() as connection:
            await rounds.lock_endpoint(connection, watch.endpoint)
            rows = await rounds.load_results(connection, claim)
            found = counts(rows)
            outcome = forced or round_outcome(found, len(claim.panel), uplink_up)
            await rounds.hold(
                connection,
                self.store,
                claim,
                state="closed",
                outcome=outcome,
                counts={**found, "uplink_up": uplink_up},
                closed=self.clock(),
            )
            await ledger.leave(connection, claim.id)
            changed_models = await self._note_endpoint(connection, watch, claim, rows, found)
            if claim.kind == "manual":
                return Closed(claim=claim, outcome=outcome, outcomes=found, judged=(), changes=Changes())
            baseline = await baselines.active(connection, *watch.key, watch.subject)
            judged = await self._judge(connection, watch, claim, rows, uplink_up, baseline)
            extra = {"served model": "; ".join(changed_models)} if changed_models else {}
            at = claim.slot
            theirs = held_against(found, uplink_up)
            signals = [
                verdict_signal(watch, each.measure, each.verdict, baseline, theirs, at, extra)
                for each in judged
                if each.measure.alarms and each.stat is not None  # else what was last seen stands
            ]
            signals += state_signals(watch, found, at, _detail(rows))
            changes = await self._alert(connection, watch, signals, at)
            if claim.kind == "scheduled":
                asked = {row.case_key: 1 for row in rows if row.outcome not in NEVER_SENT}
                await rounds.expose(connection, self.store, claim, asked)
        return Closed(
            claim=claim,
            outcome=outcome,
            outcomes=found,
            judged=judged,
            changes=changes,
            model_changes=changed_models,
        )

    async def _judge(
        self,
        connection: AsyncConnection,
        watch: Watch,
        claim: Claim,
        rows: Sequence[Any],
        uplink_up: bool,
        baseline: Baseline | None,
    ) -> list[Judged]:
        judged, stats = [], []
        for stream in await streams.listed(connection, watch.endpoint, watch.probe):
            measure = MEASURES[stream.measure]
            if claim.kind == "baseline" and measure.needs_baseline:
                continue  # these replies make the baseline; they cannot be judged by it
            each = await self._judge_stream(connection, watch, claim, rows, uplink_up, baseline, stream)
            judged.append(each)
            stats.append(_stat_row(stream.id, claim, each))
        await streams.add_stats(connection, stats)
        return judged

    async def _judge_stream(
        self,
        connection: AsyncConnection,
        watch: Watch,
        claim: Claim,
        rows: Sequence[Any],
        uplink_up: bool,
        baseline: Baseline | None,
        stream: Any,
    ) -> Judged:
        measure = MEASURES[stream.measure]
        seen = observations(measure, rows, uplink_up=uplink_up, keys=watch.cases)
        share = measure.unit in ("score", "failures")
        weights = [watch.cases[each.case].weight for each in seen]
        stat = summarise([each.value for each in seen], weights, share=share)
        before = streams.verdict_from(stream.verdict) if stream.verdict else _LEARNING
        if measure.needs_baseline and baseline is None:
            return Judged(measure=measure, verdict=_LEARNING, stat=stat, became_changed=False)
        if not seen:
            return Judged(measure=measure, verdict=before, stat=stat, became_changed=False)
        detector = self.detector(stream.detector)
        base = baseline.id if baseline is not None and measure.needs_baseline else ""
        known = stream.state is not None and stream.baseline == base and stream.version == detector.version
        state = stream.state if known else detector.start()
        prior = (baseline.fits.get(measure.name) or {}) if baseline is not None and base else {}
        reference = await baselines.load_reference(
            connection,
            baseline=base,
            measure=measure.name,
            prior=prior,
            basis=watch.basis(measure, [each.case for each in seen]),
        )
        await keep_snapshot(
            connection,
            self.store,
            watch,
            measure,
            claim,
            stream_id=stream.id,
            baseline=base,
            prior=prior,
            state=state,
            anew=not known,
        )
        round = as_round(watch.endpoint, watch.probe, claim.slot, seen, watch.run_lengths.get(measure.name))
        step = detector.update(state, reference, round)
        await streams.save_state(
            connection,
            self.store,
            stream_id=stream.id,
            seq=stream.seq or 0,
            version=detector.version,
            baseline=base,
            state=step.state,
            verdict=step.verdict,
            slot=claim.slot,
        )
        await self._learn(connection, watch, measure, base, reference, step)
        fresh = step.verdict.kind is VerdictKind.CHANGED and before.kind is not VerdictKind.CHANGED
        return Judged(measure=measure, verdict=step.verdict, stat=stat, became_changed=fresh)

    async def _learn(
        self,
        connection: AsyncConnection,
        watch: Watch,
        measure: Measure,
        base: str,
        reference: Any,
        step: Step,
    ) -> None:
        if step.learned:
            await baselines.write_reference(
                connection,
                self.store,
                baseline=base,
                measure=measure.name,
                reference=type(reference)(prior=reference.prior, cases=step.learned),
                basis=watch.basis(measure, list(step.learned)),
            )
        if step.residuals:
            after = apply(reference, step)
            await baselines.write_residuals(connection, self.store, base, measure.name, after.residuals)

    async def _alert(
        self, connection: AsyncConnection, watch: Watch, signals: Sequence[Signal], at: datetime
    ) -> Changes:
        open_now = await incidents.load_open(connection, watch.endpoint)
        states = await incidents.load_rule_states(connection, watch.endpoint)
        now = self.clock()
        signals = settled(signals, open_now, at)
        changes = evaluate(RULES, states, open_now, signals, at, lambda: self.new_id("inc", now))
        notices = await self.notices(connection, changes, now)
        await incidents.apply(connection, self.store, watch.endpoint, changes, notices, now)
        return changes

    async def notices(self, connection: AsyncConnection, changes: Changes, now: datetime) -> list[Notice]:
        """The messages that some changes owe: to the routed channel, and to those that were told before."""
        told = await incidents.told(connection, [step.incident.id for step in changes.transitions])
        found = []
        for step in changes.transitions:
            incident = step.incident
            for decision in destinations(
                self.routes, self.default_channel, incident, told.get(incident.id, ())
            ):
                notice = owed(step, decision, lambda: self.new_id("ntf", now), self.links(incident.id))
                if notice is not None:
                    found.append(notice)
        return found

    async def _note_endpoint(
        self,
        connection: AsyncConnection,
        watch: Watch,
        claim: Claim,
        rows: Sequence[Any],
        found: Mapping[str, int],
    ) -> list[str]:
        """Keeps what the endpoint last said of itself; says what changed in it."""
        row = (await connection.execute(select(endpoints).where(endpoints.c.name == watch.endpoint))).first()
        replies = [each for each in rows if each.outcome == Outcome.OK]
        values: dict[str, Any] = {}
        said = []
        if replies:
            last = max(replies, key=lambda each: each.started)
            values = {"last_reply": last.started}
            for name, word in (("served_model", "model"), ("fingerprint", "fingerprint")):
                new, old = getattr(last, name), getattr(row, name) if row is not None else None
                if new is not None:
                    values[name] = new
                if new is not None and old is not None and new != old:
                    said.append(f"{word} changed from {old} to {new}")
        if replies or found.get(Outcome.AUTH):
            state = "ok" if replies else "misconfigured"
            if row is None or row.state != state:
                values |= {"state": state, "state_since": claim.slot, "state_detail": _detail(rows)}
        if values:
            await connection.execute(
                update(endpoints).where(endpoints.c.name == watch.endpoint).values(**values)
            )
        # A balanced fleet may alternate between fingerprints: those are counted, not listed.
        for text in (each for each in said if each.startswith("model")):
            await connection.execute(
                insert(events).values(at=claim.slot, kind="model", endpoint=watch.endpoint, text=text)
            )
        return said


def _detail(rows: Sequence[Any]) -> str:
    return next((row.detail for row in rows if row.outcome == Outcome.AUTH and row.detail), "")


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
