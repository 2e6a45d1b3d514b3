"""Rounds that were cut short: nothing paid for is lost, nothing is asked twice, old slots close as they are."""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from monitor.store import rounds as claims
from monitor.store.errors import Superseded
from monitor.store.ledger import spent_today
from monitor.store.rounds import Claim
from monitor.store.tables import exposures, permits, results, rounds
from tests.conftest import Clock
from tests.fakes.llm import Asked, FakeLLM
from tests.monitor.look import rows
from tests.site import Bench, Site, answers, bench


class Gate:
    """Lets the first requests through and holds the others until it is opened; `full` once all workers wait."""

    def __init__(self, llm: FakeLLM, *, after: int, workers: int) -> None:
        self.full = asyncio.Event()
        self.opened = asyncio.Event()
        self._left = after
        self._free = workers
        llm.before_answer = self

    async def __call__(self, asked: Asked) -> None:
        if self._left > 0:
            self._left -= 1
            return
        self._free -= 1
        if not self._free:
            self.full.set()
        await self.opened.wait()


async def run_next(it: Bench, clock: Clock) -> str:
    """The next slot."""
    clock.now = it.watch.grid.after(clock.now)
    return await it.runtime.rounds.scheduled(it.watch, clock.now)


async def open_round(it: Bench) -> Any:
    (row,) = await rows(it.store, rounds, rounds.c.state == "open")
    return row


async def expire(it: Bench) -> None:
    """What fifteen seconds of silence do."""
    async with it.store.write() as connection:
        await connection.execute(
            update(rounds)
            .where(rounds.c.state == "open")
            .values(lease_until=it.store.now_plus(-timedelta(seconds=1)))
        )


async def take_over(it: Bench) -> list[Claim]:
    return await claims.abandoned(it.store, replica=it.runtime.replica)


async def stored(it: Bench, kind: str = "scheduled") -> list[str]:
    """The cases of stored attempts, in panel order."""
    return [row.case_key for row in await rows(it.store, results, results.c.kind == kind)]


async def killed(it: Bench, llm: FakeLLM, clock: Clock, after: int) -> list[str]:
    """Lets the daemon die in the middle of a round; gives the prompts that were answered by then."""
    begun = len(llm.requests)
    gate = Gate(llm, after=after, workers=2)
    task = asyncio.create_task(run_next(it, clock))
    await gate.full.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.opened.set()
    llm.before_answer = None
    await expire(it)
    return [request.prompt for request in llm.requests[begun : begun + after]]


async def test_another_replica_asks_exactly_what_is_missing(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    site = Site(tmp_path, store_url, "http://127.0.0.1:1/v1")
    async with FakeLLM(answers=answers()) as llm:
        site.config["endpoints"]["bot"] |= {"url": llm.url, "limits": {"concurrency": 2}}
        async with bench(site, clock) as it, bench(site, clock, seed=2) as other:
            await it.capture()
            answered = await killed(it, llm, clock, after=4)
            assert len(await stored(it)) == 4
            begun = len(llm.requests)
            (claim,) = await take_over(other)
            await other.runtime.rounds.resume(other.watch, claim)
            again = [request.prompt for request in llm.requests[begun:]]
            (closed,) = await rows(other.store, rounds, rounds.c.kind == "scheduled")
            keys = await stored(other)
            exposed = await rows(other.store, exposures)
    assert len(again) == 6
    assert not set(again) & set(answered)
    assert (closed.state, closed.outcome, closed.fence, closed.replica) == (
        "closed",
        "complete",
        2,
        other.runtime.replica,
    )
    assert sorted(keys) == sorted(pick["key"] for pick in closed.panel)
    assert {row.asked for row in exposed} == {1}
    assert len(exposed) == 10


async def test_a_replica_that_was_only_slow_writes_nothing_once_another_took_over(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    site = Site(tmp_path, store_url, "http://127.0.0.1:1/v1")
    async with FakeLLM(answers=answers()) as llm:
        site.config["endpoints"]["bot"]["url"] = llm.url
        async with bench(site, clock) as it, bench(site, clock, seed=2) as other:
            await it.capture()
            gate = Gate(llm, after=0, workers=8)
            slow = asyncio.create_task(run_next(it, clock))
            await gate.full.wait()
            await expire(it)
            (claim,) = await take_over(other)
            llm.before_answer = None
            await other.runtime.rounds.resume(other.watch, claim)
            gate.opened.set()
            with pytest.raises(Superseded):
                await slow
            keys = await stored(other)
            (closed,) = await rows(other.store, rounds, rounds.c.kind == "scheduled")
            assert await rows(other.store, permits) == []
    assert len(keys) == len(set(keys)) == 10
    assert (closed.outcome, closed.fence) == ("complete", 2)
    assert [each.claim.id for each in other.closed if each.claim.kind == "scheduled"] == [closed.id]
    assert [each for each in it.closed if each.claim.kind == "scheduled"] == []


async def test_a_round_older_than_half_its_interval_closes_as_partial_without_asking(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        it.site.config["endpoints"]["bot"]["limits"] = {"concurrency": 2}
        await it.reload()
        await it.capture()
        await killed(it, llm, clock, after=4)
        begun = len(llm.requests)
        clock.advance(minutes=7, seconds=31)
        (claim,) = await take_over(it)
        await it.runtime.rounds.resume(it.watch, claim)
        (closed,) = await rows(it.store, rounds, rounds.c.kind == "scheduled")
        judged = {each.measure.name: each.stat.n for each in it.closed[-1].judged if each.stat}
        exposed = await rows(it.store, exposures)
    assert len(llm.requests) == begun
    assert (closed.state, closed.outcome) == ("closed", "partial")
    assert judged["score"] == 4
    assert len(exposed) == 4  # who was not asked comes first next time


async def test_a_drain_ends_what_is_under_way_and_gives_the_round_back(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    site = Site(tmp_path, store_url, "http://127.0.0.1:1/v1")
    async with FakeLLM(answers=answers()) as llm:
        site.config["endpoints"]["bot"] |= {"url": llm.url, "limits": {"concurrency": 3}}
        async with bench(site, clock) as it, bench(site, clock, seed=2) as other:
            await it.capture()
            gate = Gate(llm, after=0, workers=3)
            task = asyncio.create_task(run_next(it, clock))
            await gate.full.wait()
            it.runtime.draining = True
            gate.opened.set()
            assert await task == "unfinished"
            assert (await open_round(it)).state == "open"
            assert len(await stored(it)) == 3
            (claim,) = await take_over(other)  # at once: nobody waits for the lease
            await other.runtime.rounds.resume(other.watch, claim)
            keys = await stored(other)
            (closed,) = await rows(other.store, rounds, rounds.c.kind == "scheduled")
    assert len(llm.requests) == 110
    assert len(set(keys)) == 10
    assert closed.outcome == "complete"


async def test_money_that_a_dead_replica_had_set_aside_is_free_again(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    site = Site(tmp_path, store_url, "http://127.0.0.1:1/v1")
    async with FakeLLM(answers=answers(), input_tokens=10, output_tokens=10) as llm:
        site.config["endpoints"]["bot"] |= {
            "url": llm.url,
            "limits": {"concurrency": 2, "usd_per_day": 100.0},
            "price": {"input_per_mtok": 1.0, "output_per_mtok": 1.0},
            "params": {"max_tokens": 10},
        }
        async with bench(site, clock) as it:
            await it.capture()
            await killed(it, llm, clock, after=4)
            async with it.store.read() as connection:
                before = (await spent_today(connection, clock.now.date()))["bot"]
            (claim,) = await take_over(it)
            await it.runtime.rounds.resume(it.watch, claim)
            async with it.store.read() as connection:
                after = (await spent_today(connection, clock.now.date()))["bot"]
            assert await rows(it.store, permits) == []
    assert before[0] == 104 * 20_000
    assert before[1] > 0
    assert after == (110 * 20_000, 0)


async def test_a_piece_of_a_capture_is_resumed_as_any_round(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        it.site.config["endpoints"]["bot"]["limits"] = {"concurrency": 2}
        await it.reload()
        await killed(it, llm, clock, after=6)
        begun = len(llm.requests)
        (claim,) = await take_over(it)
        assert claim.kind == "baseline"
        await it.runtime.rounds.resume(it.watch, claim)
        assert len(llm.requests) == begun + 4
        assert await run_next(it, clock) == "learning"
        assert Counter(await stored(it, "baseline")) == {f"basics/c{n}": 5 for n in range(20)}


async def test_a_round_whose_probe_left_the_config_is_closed(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        it.site.config["endpoints"]["bot"]["limits"] = {"concurrency": 2}
        await it.reload()
        await it.capture()
        await killed(it, llm, clock, after=4)
        (claim,) = await take_over(it)
        await it.runtime.work.abandon(claim)
        (closed,) = await rows(it.store, rounds, rounds.c.kind == "scheduled")
        assert await rows(it.store, permits) == []
    assert (closed.state, closed.outcome) == ("closed", "partial")
