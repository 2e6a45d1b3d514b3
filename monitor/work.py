"""One claimed round's life, whatever it is for: opened, asked, closed. Nothing else writes a round."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.asking import Asker
from monitor.assess import Assessor, Closed
from monitor.rescore import rescore
from monitor.store import ledger, rounds
from monitor.store.engine import Store
from monitor.store.rounds import Claim
from monitor.uplink import Uplink
from monitor.watch import Watch
from probes import NETWORK_FAILURES, Client, Outcome

log = logging.getLogger("plumbline.round")


@dataclass(frozen=True, kw_only=True)
class Work:
    """Works on rounds. Holds no state of its own: everything that must survive is in the store."""

    store: Store
    asker: Asker
    assessor: Assessor
    uplink: Uplink
    client: Callable[[str], Client]
    clock: Callable[[], datetime]
    new_id: Callable[[str, datetime], str]
    replica: str
    config_hash: str
    closed: Callable[[Watch, Closed], None]

    def claim(
        self,
        watch: Watch,
        slot: datetime,
        kind: str,
        panel: Sequence[Mapping[str, Any]],
        baseline: str | None = None,
    ) -> Claim:
        """A claim that nobody has yet; `open` writes it."""
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

    async def open(self, connection: AsyncConnection, claim: Claim, outcome: str | None = None) -> bool:
        """Writes the claim; False where another replica was faster. With an `outcome` it is closed at once."""
        return await rounds.open_round(
            connection,
            self.store,
            claim,
            replica=self.replica,
            config_hash=self.config_hash,
            now=self.clock(),
            outcome=outcome,
        )

    async def run(self, watch: Watch, claim: Claim) -> Closed | None:
        """Asks what is still to be asked and closes the round; None where a drain came first.

        Raises:
            Superseded: Another replica has the round now.
        """
        async with self.store.read() as connection:
            done = {row.seq for row in await rounds.load_results(connection, claim)}
        whole = await self.asker.work(
            watch,
            claim,
            self.client(watch.endpoint),
            frozenset(done),
            partial(self._score_again, watch, claim),
        )
        if not whole:
            await rounds.release(self.store, claim)
            return None
        return await self.close(watch, claim)

    async def _score_again(self, watch: Watch, claim: Claim) -> None:
        """Where judges score, kept replies are scored again within a round, which has the money for it."""
        if watch.judges and claim.kind != "baseline":
            scored = await rescore(self.store, watch, self.assessor.detector)
            if scored:
                log.info("%s/%s: %d kept replies scored again", *watch.key, scored)

    async def close(self, watch: Watch, claim: Claim, forced: str | None = None) -> Closed:
        """Judges what the round has stored and closes it, as `forced` where it could not be finished.

        Raises:
            Superseded: Another replica has the round now.
        """
        async with self.store.read() as connection:
            rows = await rounds.load_results(connection, claim)
        if any(row.outcome == Outcome.OK for row in rows):
            self.uplink.replied(watch.endpoint)
        doubtful = any(row.outcome in NETWORK_FAILURES for row in rows)
        up = await self.uplink.up(watch.endpoint) if doubtful else True
        with self.asker.metrics.store_write.time():
            closed = await self.assessor.close(watch, claim, uplink_up=up, forced=forced)
        self.closed(watch, closed)
        return closed

    async def abandon(self, claim: Claim) -> None:
        """Closes a round that nobody can finish, because the config no longer has its probe."""
        async with self.store.write() as connection:
            await ledger.leave(connection, claim.id)
            await rounds.hold(
                connection, self.store, claim, state="closed", outcome="partial", closed=self.clock()
            )
