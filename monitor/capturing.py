"""Captures baselines: chunk by chunk, each a round of its own, until every case has its runs."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert
from sqlalchemy import select as query
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor import capture
from monitor.capture import Progress
from monitor.drift.detector import Detector
from monitor.judge import observations
from monitor.measures import MEASURES
from monitor.stat import summarise
from monitor.store import baselines, rounds
from monitor.store.baselines import Baseline
from monitor.store.tables import events
from monitor.store.tables import rounds as round_table
from monitor.watch import Watch
from monitor.work import Work
from probes import NETWORK_FAILURES

log = logging.getLogger("plumbline.round")

_TOO_LOW = 0.05


@dataclass(frozen=True, kw_only=True)
class Captures:
    """Captures baselines. A capture lives in the store, so any replica or command may go on with it."""

    work: Work
    detector: Callable[[str], Detector]
    draining: Callable[[], bool]

    async def capture(
        self, watch: Watch, *, author: str, reason: str, if_missing: bool = False
    ) -> Baseline | None:
        """Captures a baseline, or goes on with one; None where it was refused or cut short."""
        async for _ in self.capturing(watch, author=author, reason=reason, if_missing=if_missing):
            pass
        async with self.work.store.read() as connection:
            return await baselines.active(connection, *watch.key, watch.subject)

    async def capturing(
        self, watch: Watch, *, author: str, reason: str, if_missing: bool = False
    ) -> AsyncIterator[Progress]:
        """The capture, step by step: how far it is after each chunk.

        With `if_missing` nothing is begun where there is a baseline: another replica may have finished the
        capture since the caller looked, and a second one would be paid for nothing.
        """
        now = self.work.clock()
        async with self.work.store.write() as connection:
            await rounds.lock_endpoint(connection, watch.endpoint)  # two replicas begin one capture
            refused_before = await baselines.refused(connection, *watch.key)
            baseline = await baselines.capturing(connection, *watch.key, watch.subject)
            if baseline is None:
                if if_missing and await baselines.active(connection, *watch.key, watch.subject) is not None:
                    return
                baseline = await baselines.begin(
                    connection,
                    id=self.work.new_id("bas", now),
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
                await self._finish(watch, baseline, state, rows, quietly=refused_before)
                return
            if not await self._chunk(watch, baseline):
                return  # somebody else has a round open, or nothing could be asked: the next slot goes on
            async with self.work.store.read() as connection:
                rows = await _captured(connection, baseline)

    async def _chunk(self, watch: Watch, baseline: Baseline) -> bool:
        async with self.work.store.write() as connection:
            await rounds.lock_endpoint(connection, watch.endpoint)
            # Looked up under the lock: another replica may have closed a chunk of it, or all of it, just now.
            under_way = await baselines.capturing(connection, *watch.key, watch.subject)
            if under_way is None or under_way.id != baseline.id:
                return False
            panel = capture.next_chunk(watch, await _captured(connection, baseline))
            if not panel:
                return True
            claim = self.work.claim(watch, self.work.clock(), "baseline", panel, baseline.id)
            if not await self.work.open(connection, claim):
                return False
        closed = await self.work.run(watch, claim)
        return closed is not None and capture.goes_on(closed.outcomes)

    async def _finish(
        self, watch: Watch, baseline: Baseline, state: Progress, rows: Sequence[Any], *, quietly: bool
    ) -> None:
        """Ends a capture; a refusal after a refusal is not told again (`quietly`)."""
        name = f"{watch.endpoint}/{watch.probe}"
        async with self.work.store.write() as connection:
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
                fits = await capture.fit(connection, self.work.store, watch, baseline.id, rows, self.detector)
                await baselines.set_state(connection, baseline.id, baselines.PROVISIONAL, fits=fits)
                text = f"baseline version {baseline.version} captured from {state.done} replies"
                text += scored(watch, rows)
                if watch.baseline.auto_accept:
                    await baselines.accept(
                        connection,
                        baseline,
                        who="config",
                        why="baseline.auto_accept is on",
                        now=self.work.clock(),
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
                    at=self.work.clock(),
                    kind="baseline",
                    endpoint=watch.endpoint,
                    text=f"{watch.probe}: {text}",
                )
            )


def scored(watch: Watch, rows: Sequence[Any]) -> str:
    """What the captured replies scored, as a clause for people; a baseline at 0 can never fall, so it is said."""
    values = [each.value for each in observations(MEASURES["score"], rows, uplink_up=True, keys=watch.cases)]
    stat = summarise(values, [1.0] * len(values), share=True)
    if stat is None:
        return ", none of them scored"
    text = f", score {stat.mean:.2f} ({stat.low:.2f} to {stat.high:.2f}, n {stat.n})"
    if stat.mean < _TOO_LOW:
        text += "; a score that is nearly 0 cannot fall: check the targets and scorers"
    return text


async def _captured(connection: AsyncConnection, baseline: Baseline) -> list[Any]:
    """A capture's attempts, without those that failed while our own network was not seen up."""
    found = await connection.execute(
        query(round_table.c.id, round_table.c.counts).where(round_table.c.baseline == baseline.id)
    )
    unproven = {row.id for row in found if row.counts is not None and not row.counts["uplink_up"]}
    rows = await baselines.captured_results(connection, baseline.id)
    return [row for row in rows if row.outcome not in NETWORK_FAILURES or row.round_id not in unproven]
