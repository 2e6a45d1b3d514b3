"""Asks a claimed round's cases and stores the replies as they finish, under the round's fence."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from prometheus_client import Gauge

from monitor.config.model import Endpoint
from monitor.ids import RowIds
from monitor.judge import NEVER_SENT
from monitor.judges import Judges
from monitor.lag import LoopLag
from monitor.metrics import Metrics
from monitor.price import result_nano
from monitor.purse import Purse
from monitor.results import reply_row, result_row
from monitor.secrets import Secrets
from monitor.store import ledger, rounds
from monitor.store.engine import Store
from monitor.store.errors import StoreUnavailable, Superseded
from monitor.store.ledger import Bill
from monitor.store.rounds import Claim
from monitor.watch import Watch
from probes import Ask, Client, Outcome, Result, run

log = logging.getLogger("plumbline.round")

#: Replies wait at most this long for their transaction: what a kill can lose of what was paid for.
_FLUSH_SECONDS = 0.5
_STORE_RETRY_SECONDS = 1.0


async def _nothing() -> None:
    """What is done first where there is nothing to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asker:
    """What asking needs besides the claim itself.

    Attributes:
        judge: Endpoint -> its settings and client, for scorers that ask one.
        under_way: Ids of the rounds that this process is asking at this moment, whatever their leases say.
    """

    store: Store
    clock: Callable[[], datetime]
    row_ids: RowIds
    lag: LoopLag
    metrics: Metrics
    draining: Callable[[], bool]
    judge: Callable[[str], tuple[Endpoint, Client]]
    under_way: set[str] = field(default_factory=set)

    async def work(
        self,
        watch: Watch,
        claim: Claim,
        client: Client,
        done: frozenset[int],
        first: Callable[[], Awaitable[object]] = _nothing,
    ) -> bool:
        """Asks what the panel still lacks; False where a drain left some of it unasked.

        `first` is done before, with the round's judges at work.

        Raises:
            Superseded: Another replica took the round over.
        """
        picks = [pick for pick in claim.panel if pick["seq"] not in done and pick["key"] in watch.cases]
        if not picks:
            return True
        asks = [
            Ask(seq=pick["seq"], case=watch.cases[pick["key"]], scorers=watch.scorers[pick["key"]])
            for pick in picks
        ]
        purse = Purse(
            self.store,
            claim,
            watch.endpoint,
            watch.settings.limits,
            watch.settings.price,
            asks=len(asks),
            max_tokens=watch.max_tokens,
            timeout=watch.settings.timeout.total_seconds(),
            clock=self.clock,
            draining=self.draining,
        )
        judges = Judges(
            store=self.store,
            claim=claim,
            own=purse,
            questions=len(asks),
            judge=self.judge,
            metrics=self.metrics,
            clock=self.clock,
            draining=self.draining,
        )
        self.under_way.add(claim.id)
        try:
            async with _lease_kept(self.store, claim):
                concurrency = min(watch.settings.limits.concurrency, len(asks))
                # In one order everywhere: endpoints that judge each other would else wait for each other.
                for name in sorted({watch.endpoint, *watch.judges}):
                    judging = name in watch.judges
                    granted = await (judges.enter(name) if judging else purse.enter(concurrency))
                    if not granted:
                        return False
                    if name == watch.endpoint:
                        concurrency = granted
                return await self._ask(watch, claim, client, asks, purse, judges, concurrency, first)
        finally:
            self.under_way.discard(claim.id)

    async def _ask(
        self,
        watch: Watch,
        claim: Claim,
        client: Client,
        asks: Sequence[Ask],
        purse: Purse,
        judges: Judges,
        concurrency: int,
        first: Callable[[], Awaitable[object]],
    ) -> bool:
        appender = _Appender(self, watch, claim, purse, judges)
        splits = {pick["seq"]: pick["split"] for pick in claim.panel}
        whole = True
        flight = _Flight(purse, self.metrics.in_flight.labels(watch.endpoint))
        stream = run(
            client,
            asks,
            admit=flight.admit,
            clock=self.clock,
            concurrency=concurrency,
            timeout=watch.settings.timeout.total_seconds(),
            lag=self.lag.worst,
        )
        with judges.at_work():
            async with appender.running(), flight, aclosing(stream):
                await first()
                async for result in stream:
                    flight.landed(result)
                    cost = result_nano(watch.settings.price, result)
                    self.metrics.attempt(watch, claim.kind, splits[result.ask.seq], result, cost)
                    if result.outcome is Outcome.DRAINED:
                        whole = False  # not stored: whoever resumes the round asks it
                    else:
                        appender.add(result)
        return whole


class _Flight:
    """Counts a round's attempts under way, also where the round is cut short."""

    def __init__(self, purse: Purse, gauge: Gauge) -> None:
        self._purse = purse
        self._gauge = gauge
        self._count = 0

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        self._gauge.dec(self._count)

    async def admit(self, ask: Ask) -> Outcome | None:
        """Asks the purse; what it lets go is under way."""
        refused = await self._purse.admit(ask.seq, ask.case)
        if refused is None:
            self._count += 1
            self._gauge.inc()
        return refused

    def landed(self, result: Result) -> None:
        """An attempt has ended."""
        if result.outcome not in NEVER_SENT:
            self._count -= 1
            self._gauge.dec()


class _Appender:
    """Collects finished attempts and stores them together."""

    def __init__(self, asker: Asker, watch: Watch, claim: Claim, purse: Purse, judges: Judges) -> None:
        self._asker = asker
        self._watch = watch
        self._claim = claim
        self._purse = purse
        self._judges = judges
        self._bills: list[Bill] = []
        self._picks: Mapping[int, Mapping[str, Any]] = {pick["seq"]: pick for pick in claim.panel}
        judging = [asker.judge(name)[0].settings for name in sorted(watch.judges)]
        self._secrets = Secrets(watch.settings.settings, *judging)
        self._waiting: list[Result] = []
        self._arrived = asyncio.Event()
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, result: Result) -> None:
        """Takes one finished attempt.

        Raises:
            Superseded: An earlier batch found the round taken over.
        """
        if self._task is not None and self._task.done():
            self._task.result()
        self._waiting.append(result)
        self._arrived.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Stores in the background while the block runs; all of it is stored when the block has ended."""
        self._task = asyncio.create_task(self._store_as_they_come(), name=f"append {self._claim.id}")
        try:
            yield
        finally:
            self._ending.set()
            self._arrived.set()
            await self._task

    async def _store_as_they_come(self) -> None:
        while self._waiting or not self._ending.is_set():  # what came during the last write is stored too
            await self._arrived.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), _FLUSH_SECONDS)
            self._arrived.clear()
            batch, self._waiting = self._waiting, []
            if batch:
                await self._store(batch)
        if self._judges.owe:  # for a reply that was not stored: the attempt was cancelled meanwhile
            await self._store([])

    async def _store(self, batch: Sequence[Result]) -> None:
        told = False
        while True:
            try:
                await self._write(batch)
            except StoreUnavailable as error:
                if self._asker.draining():
                    raise
                if not told:
                    log.warning("%d replies wait for the store: %s", len(batch), error)
                    told = True
                await asyncio.sleep(_STORE_RETRY_SECONDS)
            else:
                return

    async def _write(self, batch: Sequence[Result]) -> None:
        asker, claim, price = self._asker, self._claim, self._watch.settings.price
        now = asker.clock()
        replies = {
            result.ask.seq: reply_row(result.reply, now, self._secrets.hide)
            for result in batch
            if result.reply
        }
        rows = [
            result_row(
                claim,
                result,
                row_id=asker.row_ids.take(now),
                pick=self._picks[result.ask.seq],
                price=price,
                reply_hash=replies[result.ask.seq]["hash"] if result.reply else None,
                hide=self._secrets.hide,
            )
            for result in batch
        ]
        texts = {row["hash"]: row for row in replies.values()}
        if not self._bills:  # else the last try to write failed, and these are still to be booked
            self._bills = [self._bill(batch, rows), *self._judges.bills()]
        async with asker.store.write() as connection:
            await rounds.append(connection, asker.store, claim, rows, list(texts.values()))
            for bill in self._bills:
                await ledger.settle(connection, asker.store, claim, bill)
        self._bills = []

    def _bill(self, batch: Sequence[Result], rows: Sequence[Mapping[str, Any]]) -> Bill:
        return Bill(
            endpoint=self._watch.endpoint,
            day=self._purse.day,
            requests=sum(result.outcome not in NEVER_SENT for result in batch),
            released_nano=self._purse.release(result.ask.seq for result in batch),
            spent_nano=sum(row["cost_nano"] or 0 for row in rows),
            input_tokens=sum(row["input_tokens"] or 0 for row in rows),
            output_tokens=sum(row["output_tokens"] or 0 for row in rows),
        )


@asynccontextmanager
async def _lease_kept(store: Store, claim: Claim) -> AsyncIterator[None]:
    """Renews the round's lease while the block runs."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(rounds.LEASE.total_seconds() / 3)
            try:
                async with store.write() as connection:
                    await rounds.hold(connection, store, claim)
            except StoreUnavailable:
                continue  # the appender says so; the lease may outlive a short outage
            except Superseded:
                return  # the next append finds out and ends the work

    task = asyncio.create_task(renew(), name=f"lease {claim.id}")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
