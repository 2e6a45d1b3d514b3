"""Two daemons on one PostgreSQL: every slot once, whoever is faster; nothing counted, captured or told twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monitor.assess import Closed
from monitor.store import rounds as claims
from monitor.store.tables import baselines, events, notifications, results, round_stats, rounds, transitions
from tests.conftest import Clock
from tests.fakes.llm import FakeLLM
from tests.monitor.look import all_incidents, rows, states, told
from tests.monitor.timeless import bench
from tests.site import Bench, Site, answers


class Pair:
    """Two benches on one store and one endpoint."""

    def __init__(self, llm: FakeLLM, first: Bench, second: Bench) -> None:
        self.llm, self.first, self.second = llm, first, second

    @property
    def store(self):
        return self.first.store

    async def race(self, clock: Clock, slots: int) -> list[tuple[str, str]]:
        """Both run each of the next slots at the same time; says how each saw them end."""
        ends = []
        for _ in range(slots):
            clock.now = self.first.watch.grid.after(clock.now)
            slot = clock.now
            one, other = await asyncio.gather(
                self.first.runtime.rounds.scheduled(self.first.watch, slot),
                self.second.runtime.rounds.scheduled(self.second.watch, slot),
            )
            ends.append((one, other))
        return ends


@pytest.fixture
async def pair(postgres_url: str, tmp_path: Path, clock: Clock) -> AsyncIterator[Pair]:
    async with FakeLLM(answers=answers()) as llm:
        site = Site(tmp_path, postgres_url, llm.url)
        async with bench(site, clock, seed=1) as first, bench(site, clock, seed=2) as second:
            yield Pair(llm, first, second)


async def test_fifty_raced_slots_run_once_each(pair: Pair, clock: Clock) -> None:
    await pair.first.capture()
    ends = await pair.race(clock, 50)
    assert all(sorted(end) == ["complete", "taken"] for end in ends)
    run = await rows(pair.store, rounds, rounds.c.kind == "scheduled")
    asked = await rows(pair.store, results, results.c.kind == "scheduled")
    stats = Counter(row.round_id for row in await rows(pair.store, round_stats))
    judged = await states(pair.store)
    assert len(run) == 50
    assert {row.state for row in run} == {"closed"}
    assert Counter(row.round_id for row in asked) == {row.id: 10 for row in run}
    assert len(pair.llm.requests) == 100 + 500
    assert {stats[row.id] for row in run} == {6}
    assert judged["score"].seq == 50
    assert judged["score"].verdict["kind"] == "steady"


async def test_a_change_is_told_once_whoever_saw_it(pair: Pair, clock: Clock) -> None:
    await pair.first.capture()
    await pair.race(clock, 3)
    pair.llm.skill = 0.0
    await pair.race(clock, 4)
    pair.llm.skill = 1.0
    await pair.race(clock, 12)
    (incident,) = await all_incidents(pair.store)
    steps = await rows(pair.store, transitions)
    owed = await rows(pair.store, notifications)
    assert incident.state == "resolved"
    assert sorted((row.seq, row.kind) for row in owed) == sorted((row.seq, row.kind) for row in steps)
    assert Counter(row.kind for row in steps)["opened"] == 1
    assert Counter(row.kind for row in steps)["resolved"] == 1


async def test_missed_slots_are_counted_by_the_one_that_runs_the_next(pair: Pair, clock: Clock) -> None:
    await pair.first.capture()
    await pair.race(clock, 1)
    clock.advance(hours=1)
    ends = await pair.race(clock, 1)
    texts = await told(pair.store, "missed")
    counted = [
        bench.runtime.world.metrics.rounds.labels("bot", "quality", "missed")._value.get()
        for bench in (pair.first, pair.second)
    ]
    assert sorted(ends[0]) == ["complete", "taken"]
    assert len(texts) == 1
    assert texts[0].startswith("quality: 4 slots were missed between ")
    assert sorted(counted) == [0.0, 4.0]


async def test_a_slot_that_comes_while_a_round_is_open_is_overlapped_once(pair: Pair, clock: Clock) -> None:
    await pair.first.capture()
    held, let_go = asyncio.Event(), asyncio.Event()

    async def hold(asked) -> None:
        held.set()
        await let_go.wait()

    pair.llm.before_answer = hold
    clock.now = pair.first.watch.grid.after(clock.now)
    running = asyncio.create_task(pair.first.runtime.rounds.scheduled(pair.first.watch, clock.now))
    await held.wait()
    (ends,) = await pair.race(clock, 1)
    let_go.set()
    assert await running == "complete"
    assert sorted(ends) == ["overlapped", "taken"]
    assert sorted(row.outcome for row in await rows(pair.store, rounds, rounds.c.kind == "scheduled")) == [
        "complete",
        "overlapped",
    ]


async def test_both_capture_one_baseline(pair: Pair, clock: Clock) -> None:
    ends = await pair.race(clock, 1)
    await pair.race(clock, 2)
    kept = await rows(pair.store, baselines)
    assert ends == [("learning", "learning")]
    assert [(row.version, row.state) for row in kept] == [(1, "accepted")]
    assert len(await rows(pair.store, results, results.c.kind == "baseline")) == 100
    assert len(await rows(pair.store, events, events.c.kind == "baseline")) == 1


async def test_they_share_the_concurrency_of_an_endpoint(
    postgres_url: str, tmp_path: Path, clock: Clock
) -> None:
    busy, most = 0, 0

    async def came(asked) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0)

    async def went(asked) -> None:
        nonlocal busy
        busy -= 1

    async with FakeLLM(answers=answers(), before_answer=came, after_answer=went) as llm:
        site = Site(tmp_path, postgres_url, llm.url)
        site.config["endpoints"]["bot"]["limits"] = {"concurrency": 3}
        site.config["probes"]["second"] = {**site.config["probes"]["quality"]}
        async with bench(site, clock, seed=1) as first, bench(site, clock, seed=2) as second:
            one = first.runtime.watches["bot", "quality"]
            other = second.runtime.watches["bot", "second"]
            await asyncio.gather(
                first.runtime.captures.capture(one, author="a", reason="r"),
                second.runtime.captures.capture(other, author="a", reason="r"),
            )
            assert {row.state for row in await rows(first.store, baselines)} == {"accepted"}
    assert most <= 3
    assert len(llm.requests) == 200


async def test_expired_rounds_are_taken_over_by_one(pair: Pair, clock: Clock) -> None:
    await pair.first.capture()
    closed: list[Closed] = pair.first.closed + pair.second.closed
    pair.first.runtime.draining = True
    clock.now = pair.first.watch.grid.after(clock.now)
    assert await pair.first.runtime.rounds.scheduled(pair.first.watch, clock.now) == "unfinished"
    taken = await asyncio.gather(
        *(claims.abandoned(pair.store, replica=replica) for replica in ("rep_a", "rep_b", "rep_c", "rep_d"))
    )
    assert sorted(len(each) for each in taken) == [0, 0, 0, 1]
    assert pair.first.closed + pair.second.closed == closed
