"""Rounds from slot to close: claim, select, ask, assess. Captures, manual rounds and resumed ones too."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy import select as query
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor import capture
from monitor.asking import Asker
from monitor.assess import Assessor, Closed
from monitor.capture import Progress
from monitor.drift.detector import Detector
from monitor.grid import slot_rng
from monitor.store import baselines, ledger, rounds
from monitor.store.baselines import Baseline
from monitor.store.engine import Store
from monitor.store.rounds import Claim
from monitor.store.tables import events
from monitor.store.tables import rounds as round_table
from monitor.uplink import Uplink
from monitor.watch import Watch
from probes import NETWORK_FAILURES, Client, Outcome
from rotation import Exposure, select

log = logging.getLogger("plumbline.round")


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """Runs rounds. Holds no state of its own: everything that must survive is in the store."""

    store: Store
    asker: Asker
    assessor: Assessor
    uplink: Uplink
    detector: Callable[[str], Detector]
    client: Callable[[str], Client]
    clock: Callable[[], datetime]
    new_id: Callable[[str, datetime], str]
    replica: str
    config_hash: str
    draining: Callable[[], bool]
    closed: Callable[[Watch, Closed], None]
    missed: Callable[[Watch, str, int], None]

    async def scheduled(self, watch: Watch, slot: datetime) -> str:
        """Runs one slot.

        Returns:
            How it went: the outcome, "taken" (another replica has it), "overlapped", "learning" (the
            slot went into a capture), "late" (we woke when half its interval was over; the next slot
            counts it as missed), or "unfinished" (a drain came first).
        """
        claim = await self._claim_slot(watch, slot)
        if claim == "learning":
            await self.capture(watch, author="plumbline", reason="there was no baseline")
        return claim if isinstance(claim, str) else await self._run(watch, claim)

    async def manual(self, watch: Watch) -> Closed | None:
        """Runs one round now, on cases chosen as a scheduled round would; it is stored, but judges nothing."""
        now = self.clock()
        async with self.store.write() as connection:
            claim = await self._claim(connection, watch, now, kind="manual")
        return None if isinstance(claim, str) else await self._work(watch, claim)

    async def resume(self, watch: Watch, claim: Claim) -> None:
        """Finishes a round that was left open: the missing cases while the slot is young, else as partial."""
        async with self.store.write() as connection:
            await ledger.leave(connection, claim.id)  # the permit of the dead owner
        young = self.clock() - claim.slot < watch.interval / 2
        if young and claim.kind != "manual":
            await self._work(watch, claim)
        else:
            await self._close(watch, claim, forced="partial")

    async def overlapped(self, watch: Watch, slot: datetime) -> None:
        """Accounts for a slot that came while the round before it was still open; a capture is not held against it."""
        claim = await self._claim_slot(watch, slot)
        if isinstance(claim, Claim):
            await self._run(watch, claim)  # that round has ended just now

    async def abandon(self, claim: Claim) -> None:
        """Closes a round that nobody can finish, because the config no longer has its probe."""
        async with self.store.write() as connection:
            await ledger.leave(connection, claim.id)
            await rounds.hold(
                connection, self.store, claim, state="closed", outcome="partial", closed=self.clock()
            )

    async def capture(self, watch: Watch, *, author: str, reason: str) -> Baseline | None:
        """Captures a baseline, or goes on with one; None where it was refused or cut short."""
        async for _ in self.capturing(watch, author=author, reason=reason):
            pass
        async with self.store.read() as connection:
            return await baselines.active(connection, *watch.key, watch.subject)

    async def capturing(self, watch: Watch, *, author: str, reason: str) -> AsyncIterator[Progress]:
        """The capture, step by step: how far it is after each chunk."""
        now = self.clock()
        async with self.store.write() as connection:
            await rounds.lock_endpoint(connection, watch.endpoint)  # two replicas begin one capture
            refused_before = await baselines.refused(connection, *watch.key)
            baseline = await baselines.capturing(connection, *watch.key, watch.subject)
            if baseline is None:
                baseline = await baselines.begin(
                    connection,
                    id=self.new_id("bas", now),
                    endpoint=watch.endpoint,
                    probe=watch.probe,
                    subject=watch.subject,
                    author=author,
                    reason=reason,
                    now=now,
                )
            rows = await _captured(connection, baseline)
        log.info(
            "%s/%s: capturing baseline version %d: %s",
            *watch.key,
            baseline.version,
            capture.estimate(watch, capture.progress(watch, rows)),
        )
        while not self.draining():
            state = capture.progress(watch, rows)
            yield state
            if state.refused or state.whole:
                await self._finish_capture(watch, baseline, state, rows, quietly=refused_before)
                return
            if not await self._capture_chunk(watch, baseline, rows):
                return  # somebody else has a round open, or nothing could be asked: the next slot goes on
            async with self.store.read() as connection:
                rows = await _captured(connection, baseline)

    async def _capture_chunk(self, watch: Watch, baseline: Baseline, rows: Sequence[Any]) -> bool:
        now = self.clock()
        claim = self._new_claim(watch, now, "baseline", capture.next_chunk(watch, rows), baseline.id)
        async with self.store.write() as connection:
            if not await self._open(connection, claim, now):
                return False
        closed = await self._work(watch, claim)
        return closed is not None and capture.goes_on(closed.outcomes)

    async def _finish_capture(
        self, watch: Watch, baseline: Baseline, state: Progress, rows: Sequence[Any], *, quietly: bool
    ) -> None:
        """Ends a capture; a refusal after a refusal is not told again (`quietly`)."""
        name = f"{watch.endpoint}/{watch.probe}"
        async with self.store.write() as connection:
            await rounds.lock_endpoint(connection, watch.endpoint)
            under_way = await baselines.capturing(connection, *watch.key, watch.subject)
            if under_way is None or under_way.id != baseline.id:
                return  # the endpoint became another one while we asked, or another replica finished it
            if state.refused:
                text = f"baseline version {baseline.version} refused: {state.why_refused()}"
                await baselines.set_state(
                    connection, baseline.id, baselines.REFUSED, reason=state.why_refused()
                )
                if quietly:
                    return
                log.warning("%s: %s", name, text)
            else:
                fits = await capture.fit(connection, self.store, watch, baseline.id, rows, self.detector)
                await baselines.set_state(connection, baseline.id, baselines.PROVISIONAL, fits=fits)
                text = f"baseline version {baseline.version} captured from {state.done} replies"
                if watch.baseline.auto_accept:
                    await baselines.accept(
                        connection,
                        baseline,
                        who="config",
                        why="baseline.auto_accept is on",
                        now=self.clock(),
                    )
                    text += ", accepted by config (baseline.auto_accept)"
                else:
                    text += (
                        "; it is provisional and warns at most, until you run "
                        f"`plumbline baseline accept {watch.probe} --endpoint {watch.endpoint}`"
                    )
                log.info("%s: %s", name, text)
            await connection.execute(
                insert(events).values(
                    at=self.clock(), kind="baseline", endpoint=watch.endpoint, text=f"{watch.probe}: {text}"
                )
            )

    async def _claim_slot(self, watch: Watch, slot: datetime) -> Claim | str:
        async with self.store.write() as connection:
            if await baselines.active(connection, *watch.key, watch.subject) is None:
                return "learning"
            if self.clock() - slot > watch.interval / 2:
                return "late"
            last = await rounds.last_slot(connection, *watch.key)
            claim = await self._claim(connection, watch, slot)
            if last is not None and claim != "taken":  # who has the slot counts
                await self._count_missed(connection, watch, slot, last)
        if claim == "overlapped":
            self.missed(watch, claim, 1)
        return claim

    async def _run(self, watch: Watch, claim: Claim) -> str:
        closed = await self._work(watch, claim)
        return "unfinished" if closed is None else closed.outcome

    async def _count_missed(
        self, connection: AsyncConnection, watch: Watch, slot: datetime, last: datetime
    ) -> None:
        """Says how many slots went by since anybody worked on this probe; they are not caught up."""
        due = watch.grid.after(last)
        count = round((slot - due) / watch.interval)
        if count <= 0:
            return
        self.missed(watch, "missed", count)
        slots = "1 slot was" if count == 1 else f"{count} slots were"
        text = f"{watch.probe}: {slots} missed between {last:%Y-%m-%d %H:%M:%S} and {slot:%H:%M:%S} UTC"
        await connection.execute(
            insert(events).values(at=slot, kind="missed", endpoint=watch.endpoint, text=text)
        )

    async def _claim(
        self, connection: AsyncConnection, watch: Watch, slot: datetime, kind: str = "scheduled"
    ) -> Claim | str:
        standing = await rounds.standing(
            connection, endpoint=watch.endpoint, probe=watch.probe, kind=kind, slot=slot
        )
        now = self.clock()
        if standing == "overlapped" and kind == "scheduled":
            lost = self._new_claim(watch, slot, kind, [], None)
            if not await self._open(connection, lost, now, outcome="overlapped"):
                return "taken"  # another replica has counted it
        if standing != "free":
            return standing
        known = await rounds.load_exposures(connection, *watch.key)
        exposures = {key: Exposure(asked=asked, last=last) for key, (asked, last) in known.items()}
        panel = select(
            watch.pool, exposures, watch.cases_per_round, slot_rng(watch.endpoint, watch.probe, slot)
        )
        picks = [
            {"seq": seq, "key": pick.key, "inclusion": pick.inclusion, "split": pick.split}
            for seq, pick in enumerate(panel.picks)
        ]
        claim = self._new_claim(watch, slot, kind, picks, None)
        return claim if await self._open(connection, claim, now) else "taken"

    def _new_claim(
        self,
        watch: Watch,
        slot: datetime,
        kind: str,
        panel: Sequence[Mapping[str, Any]],
        baseline: str | None,
    ) -> Claim:
        return Claim(
            id=self.new_id("rnd", self.clock()),
            endpoint=watch.endpoint,
            probe=watch.probe,
            kind=kind,
            slot=slot,
            fence=1,
            panel=panel,
            set_version=watch.set_versions,
            baseline=baseline,
        )

    async def _open(
        self, connection: AsyncConnection, claim: Claim, now: datetime, outcome: str | None = None
    ) -> bool:
        return await rounds.open_round(
            connection,
            self.store,
            claim,
            replica=self.replica,
            config_hash=self.config_hash,
            now=now,
            outcome=outcome,
        )

    async def _work(self, watch: Watch, claim: Claim) -> Closed | None:
        async with self.store.read() as connection:
            done = {row.seq for row in await rounds.load_results(connection, claim)}
        whole = await self.asker.work(watch, claim, self.client(watch.endpoint), frozenset(done))
        if not whole:
            await rounds.release(self.store, claim)
            return None
        return await self._close(watch, claim)

    async def _close(self, watch: Watch, claim: Claim, forced: str | None = None) -> Closed:
        async with self.store.read() as connection:
            rows = await rounds.load_results(connection, claim)
        if any(row.outcome == Outcome.OK for row in rows):
            self.uplink.replied(watch.endpoint)
        doubtful = any(row.outcome in NETWORK_FAILURES for row in rows)
        up = await self.uplink.up(watch.endpoint) if doubtful else True
        closed = await self.assessor.close(watch, claim, uplink_up=up, forced=forced)
        self.closed(watch, closed)
        return closed


async def _captured(connection: AsyncConnection, baseline: Baseline) -> list[Any]:
    """A capture's attempts, without those that failed while our own network was not seen up."""
    found = await connection.execute(
        query(round_table.c.id, round_table.c.counts).where(round_table.c.baseline == baseline.id)
    )
    unproven = {row.id for row in found if row.counts is not None and not row.counts["uplink_up"]}
    rows = await baselines.captured_results(connection, baseline.id)
    return [row for row in rows if row.outcome not in NETWORK_FAILURES or row.round_id not in unproven]
