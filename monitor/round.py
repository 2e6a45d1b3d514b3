"""Scheduled and manual rounds: which slot is whose, and which cases are asked in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.assess import Closed
from monitor.capturing import Captures
from monitor.drift.detector import Role
from monitor.grid import slot_rng
from monitor.store import baselines, ledger, rounds
from monitor.store.rounds import Claim, Wishes
from monitor.store.tables import events
from monitor.watch import Watch
from monitor.work import Work
from rotation import Exposure, select

#: How often a case is asked again whose reply was unlikely, and how many panels' worth a burst asks.
REASKS = 2
BURST_PANELS = 2


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """Runs the slots of watches.

    Attributes:
        work: Opens, asks and closes what is claimed here.
        captures: What a slot is used for where there is no baseline yet, and one is captured by itself.
        missed: Told of slots that nobody worked on: (watch, "missed" or "overlapped", how many).
    """

    work: Work
    captures: Captures
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
            await self.captures.capture(
                watch, author="plumbline", reason="there was no baseline", if_missing=True
            )
        return claim if isinstance(claim, str) else await self._run(watch, claim)

    async def manual(self, watch: Watch) -> Closed | None:
        """Runs one round now, on cases chosen as a scheduled round would; it is stored, but judges nothing."""
        now = self.work.clock()
        async with self.work.store.write() as connection:
            claim = await self._claim(connection, watch, now, kind="manual")
        return None if isinstance(claim, str) else await self.work.run(watch, claim)

    async def resume(self, watch: Watch, claim: Claim) -> None:
        """Finishes a round that was left open: the missing cases while the slot is young, else as partial."""
        async with self.work.store.write() as connection:
            await ledger.leave(connection, claim.id)  # the permit of the dead owner
        young = self.work.clock() - claim.slot < watch.interval / 2
        if young and claim.kind != "manual":
            await self.work.run(watch, claim)
        else:
            await self.work.close(watch, claim, forced="partial")

    async def overlapped(self, watch: Watch, slot: datetime) -> None:
        """Accounts for a slot that came while the round before it was still open; a capture is not held against it."""
        claim = await self._claim_slot(watch, slot)
        if isinstance(claim, Claim):
            await self._run(watch, claim)  # that round has ended just now

    async def _claim_slot(self, watch: Watch, slot: datetime) -> Claim | str:
        async with self.work.store.write() as connection:
            waits = watch.baseline.capture
            if waits and await baselines.active(connection, *watch.key, watch.subject) is None:
                return "learning"
            if self.work.clock() - slot > watch.interval / 2:
                return "late"
            last = await rounds.last_slot(connection, *watch.key)
            claim = await self._claim(connection, watch, slot)
            if last is not None and claim != "taken":  # who has the slot counts
                await self._count_missed(connection, watch, slot, last)
        if claim == "overlapped":
            self.missed(watch, claim, 1)
        return claim

    async def _run(self, watch: Watch, claim: Claim) -> str:
        closed = await self.work.run(watch, claim)
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
        if standing == "overlapped" and kind == "scheduled":
            lost = self.work.claim(watch, slot, kind, [])
            if not await self.work.open(connection, lost, outcome="overlapped"):
                return "taken"  # another replica has counted it
        if standing != "free":
            return standing
        known = await rounds.load_exposures(connection, *watch.key)
        exposures = {key: Exposure(asked=asked, last=last) for key, (asked, last) in known.items()}
        wishes = await rounds.wishes(connection, *watch.key) if kind == "scheduled" else rounds.NO_WISHES
        claim = self.work.claim(watch, slot, kind, panel_of(watch, exposures, slot, wishes))
        return claim if await self.work.open(connection, claim) else "taken"


def panel_of(
    watch: Watch, exposures: Mapping[str, Exposure], slot: datetime, wishes: Wishes
) -> list[dict[str, Any]]:
    """The attempts of a round: the cases whose turn it is, and what detection wishes to ask besides.

    A case whose last reply was unlikely is asked twice more. A burst asks the next cases of the rotation, twice
    as many as a panel, without advancing it; where the pool has not so many, the panel's own once more.
    """
    rng, size = slot_rng(watch.endpoint, watch.probe, slot), watch.cases_per_round
    panel = select(watch.pool, exposures, size, rng)
    picks = [_pick(pick.key, pick.split, pick.inclusion) for pick in panel.picks]
    if watch.reasks:
        again = [key for key in wishes.again if key in watch.cases]
        picks += [_pick(key, watch.splits[key], 0.0, Role.REASK) for key in again for _ in range(REASKS)]
    if watch.bursts and wishes.burst:
        now = {pick.key: Exposure(asked=1, last=slot) for pick in panel.picks}
        ahead = select(watch.pool, {**exposures, **now}, BURST_PANELS * size, rng)
        picks += [_pick(pick.key, pick.split, 0.0, Role.BURST) for pick in ahead.picks]
    return [{"seq": seq, **pick} for seq, pick in enumerate(picks)]


def _pick(key: str, split: str, inclusion: float, role: Role = Role.REGULAR) -> dict[str, Any]:
    pick = {"key": key, "inclusion": inclusion, "split": split}
    return pick if role is Role.REGULAR else {**pick, "role": str(role)}
