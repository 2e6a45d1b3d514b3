"""Closes a round: detectors update, verdicts become signals, signals become incidents and messages owed.

All of it is one transaction, under the round's fence and the endpoint's lock: after a crash either the
round is still open and is judged again from its stored replies, or everything it led to is written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from alerts import Changes, Notice, Route, Signal, destinations, evaluate, owed
from monitor import identity
from monitor.drift.detector import Detector
from monitor.judge import NEVER_SENT, counts, first_words, held_against, roles, round_outcome
from monitor.signals import RULES, settled, state_signals, verdict_signal
from monitor.store import baselines, incidents, ledger, rounds
from monitor.store.engine import Store
from monitor.store.rounds import Claim
from monitor.verdicts import Hearing, Judged, unmoved, wished
from monitor.watch import Watch


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
    """Judges rounds and writes what follows.

    Attributes:
        judges: Off for commands: whoever runs one sees what comes of it, and on-call need not hear of it.
    """

    store: Store
    detector: Callable[[str], Detector]
    routes: Sequence[Route]
    default_channel: str | None
    links: Callable[[str], Mapping[str, str]]
    new_id: Callable[[str, datetime], str]
    clock: Callable[[], datetime]
    judges: bool = True

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
            changed_models = await identity.note(connection, claim, rows)
            if claim.kind == "manual" or not self.judges:
                return Closed(claim=claim, outcome=outcome, outcomes=found, judged=(), changes=Changes())
            baseline = await baselines.active(connection, *watch.key, watch.subject)
            hearing = Hearing(
                connection=connection,
                store=self.store,
                detector=self.detector,
                watch=watch,
                claim=claim,
                rows=rows,
                uplink_up=uplink_up,
                baseline=baseline,
            )
            judged = await hearing.judge()
            extra = {"served model": "; ".join(changed_models)} if changed_models else {}
            if still := unmoved(judged):
                extra["unchanged"] = ", ".join(still)
            words = first_words(rows, uplink_up)
            at = claim.slot
            theirs = held_against(found, uplink_up)
            signals = [
                verdict_signal(
                    watch,
                    each.measure,
                    each.verdict,
                    baseline,
                    theirs,
                    at,
                    extra | ({"first error": words} if words and each.measure.name == "errors" else {}),
                )
                for each in judged
                if each.measure.alarms and each.stat is not None  # else what was last seen stands
            ]
            signals += state_signals(watch, found, at, identity.refusal(rows))
            changes = await self._alert(connection, watch, signals, at)
            if claim.kind == "scheduled":
                extra_seqs = roles(claim.panel)
                asked = {
                    row.case_key: 1
                    for row in rows
                    if row.outcome not in NEVER_SENT and row.seq not in extra_seqs
                }
                await rounds.expose(connection, self.store, claim, asked)
                await rounds.wish(connection, claim, wished(judged))
        return Closed(
            claim=claim,
            outcome=outcome,
            outcomes=found,
            judged=judged,
            changes=changes,
            model_changes=changed_models,
        )

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
