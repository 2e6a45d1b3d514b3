"""What closing a round writes: everything or nothing, and only what the round has shown."""

import asyncio
import random
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from monitor.grid import slot_rng
from monitor.store import rounds as claims
from monitor.store.errors import Superseded
from monitor.store.rounds import Claim
from monitor.store.tables import (
    detector_snapshots,
    detector_states,
    endpoints,
    events,
    exposures,
    incidents,
    notifications,
    results,
    round_stats,
    rounds,
    rule_states,
)
from tests.conftest import Clock
from tests.fakes.llm import FakeLLM
from tests.monitor.look import knowledge, open_incidents, rows, states, told
from tests.site import Bench, Site, answers, bench, cases


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/plumbline.db"


async def opened(it: Bench, clock: Clock, kind: str = "scheduled") -> Claim:
    """A round that is open and was not asked."""
    clock.now = it.watch.grid.after(clock.now)
    keys = sorted(it.watch.cases)[:4]
    claim = Claim(
        id=f"rnd_{random.Random(clock.now.timestamp()).getrandbits(40)}",
        endpoint="bot",
        probe="quality",
        kind=kind,
        slot=clock.now,
        fence=1,
        panel=[{"seq": n, "key": key, "inclusion": 1.0, "split": "open"} for n, key in enumerate(keys)],
        set_version={"basics": 1},
    )
    async with it.store.write() as connection:
        await claims.open_round(connection, it.store, claim, replica="r", config_hash="", now=clock())
    return claim


async def test_a_round_that_was_taken_over_writes_nothing(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        await it.capture()
        llm.skill = 0.0
        await it.run(clock)
        claim = await opened(it, clock)
        await it.runtime.work.asker.work(it.watch, claim, it.runtime.client("bot"), frozenset())
        tables = (detector_states, round_stats, rule_states, incidents, notifications, exposures, events)
        before = [await rows(it.store, table) for table in tables]
        async with it.store.write() as connection:
            await connection.execute(update(rounds).where(rounds.c.id == claim.id).values(fence=2))
        with pytest.raises(Superseded):
            await it.runtime.work.assessor.close(it.watch, claim, uplink_up=True)
        assert [await rows(it.store, table) for table in tables] == before
        (row,) = await rows(it.store, rounds, rounds.c.id == claim.id)
    assert (row.state, row.outcome, row.counts) == ("open", None, None)


async def test_a_round_is_closed_once(store_url: str, tmp_path: Path, clock: Clock) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        await it.capture()
        claim = await opened(it, clock)
        await it.runtime.work.asker.work(it.watch, claim, it.runtime.client("bot"), frozenset())
        assessor = it.runtime.work.assessor
        ends = await asyncio.gather(
            *(assessor.close(it.watch, claim, uplink_up=True) for _ in range(3)), return_exceptions=True
        )
        assert sorted(type(end).__name__ for end in ends) == ["Closed", "Superseded", "Superseded"]
        assert (await states(it.store))["score"].seq == 1


async def test_a_manual_round_is_stored_and_judges_nothing(url: str, tmp_path: Path, clock: Clock) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        await it.capture()
        await it.run(clock)
        before = [await knowledge(it.store, "score"), await rows(it.store, exposures)]
        llm.skill = 0.0
        clock.advance(minutes=1)
        closed = await it.runtime.rounds.manual(it.watch)
        assert closed is not None
        assert [await knowledge(it.store, "score"), await rows(it.store, exposures)] == before
        assert len(await rows(it.store, results, results.c.kind == "manual")) == 10
        assert await open_incidents(it.store) == []


async def test_what_was_never_asked_was_not_exposed(url: str, tmp_path: Path, clock: Clock) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        await it.capture()
        it.site.config["endpoints"]["bot"] |= {
            "price": {"input_per_mtok": 1.0, "output_per_mtok": 1.0},
            "limits": {"usd_per_day": 0.000001},
        }
        await it.reload()
        assert await it.run(clock) == ["no_budget"]
        assert await rows(it.store, exposures) == []


async def test_a_round_without_values_leaves_a_stream_as_it_stood(
    url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        await it.capture()
        llm.skill = 0.0
        await it.run(clock, 3)
        (before,) = await open_incidents(it.store)
        llm.behave(skill=1.0, fault="429")
        await it.run(clock, 3)
        (after,) = await open_incidents(it.store)
        judged = {each.measure.name: each for each in it.closed[-1].judged}
    assert judged["score"].verdict.kind == "changed"
    assert judged["score"].stat is None
    assert not judged["score"].became_changed
    score = [[member for member in each.members if member.name == "score"] for each in (before, after)]
    assert score[0] == score[1]


async def test_an_alarm_is_counted_when_it_begins_only(url: str, tmp_path: Path, clock: Clock) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        await it.capture()
        llm.skill = 0.0
        await it.run(clock, 4)
        begun = [
            each.became_changed
            for closed in it.closed
            for each in closed.judged
            if each.measure.name == "score"
        ]
    assert sum(begun) == 1


async def test_another_served_model_is_an_event_and_stands_among_the_grounds(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        await it.capture()
        await it.run(clock)
        llm.behave(served_model="m-1-mini", fingerprint="fp_2", skill=0.0)
        await it.run(clock)
        (row,) = await rows(it.store, endpoints)
        assert await told(it.store, "model") == ["model changed from m-1 to m-1-mini"]
        assert it.closed[-1].model_changes == [
            "model changed from m-1 to m-1-mini",
            "fingerprint changed from fp_fake to fp_2",
        ]
        (incident,) = await open_incidents(it.store)
    assert (row.served_model, row.fingerprint) == ("m-1-mini", "fp_2")
    assert "model changed from m-1 to m-1-mini" in incident.lead.facts["served model"]


async def test_a_stream_keeps_one_snapshot_a_day(url: str, tmp_path: Path, clock: Clock) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        await it.capture()
        await it.run(clock, 3)
        first = await rows(it.store, detector_snapshots)
        clock.advance(days=1)
        await it.run(clock, 2)
        kept = await rows(it.store, detector_snapshots)
        judged = await states(it.store)
    assert len(first) == len(judged)
    assert len(kept) == 2 * len(first)
    assert [row for row in kept if row.day == first[0].day] == first


async def test_a_slot_that_comes_too_late_is_left_to_be_counted(
    url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        await it.capture()
        await it.run(clock)
        slot = it.watch.grid.after(clock.now)
        clock.now = slot + timedelta(minutes=8)
        assert await it.runtime.rounds.scheduled(it.watch, slot) == "late"
        await it.run(clock)
        (text,) = await told(it.store, "missed")
        assert text == ("quality: 1 slot was missed between 2026-03-02 12:11:34 and 12:41:34 UTC")


async def test_a_slot_whose_forerunner_has_just_ended_is_run_after_all(
    url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        await it.capture()
        clock.now = it.watch.grid.after(clock.now)
        await it.runtime.rounds.overlapped(it.watch, clock.now)
        (row,) = await rows(it.store, rounds, rounds.c.kind == "scheduled")
    assert (row.state, row.outcome) == ("closed", "complete")


async def test_a_slot_that_comes_during_a_capture_is_not_held_against_it(
    url: str, tmp_path: Path, clock: Clock
) -> None:
    async with bench(Site(tmp_path, url, "http://127.0.0.1:1/v1"), clock) as it:
        await it.runtime.rounds.overlapped(it.watch, it.watch.grid.slot(clock()))
        assert await rows(it.store, rounds) == []


async def test_the_panel_follows_from_the_slot_alone(url: str, tmp_path: Path, clock: Clock) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        await it.capture()
        await it.run(clock)
        (row,) = await rows(it.store, rounds, rounds.c.kind == "scheduled")
        assert row.set_version == {"basics": 1}
        assert row.config_hash == it.runtime.loaded.hash
        assert slot_rng("bot", "quality", row.slot).random() == slot_rng("bot", "quality", row.slot).random()
        assert [pick["seq"] for pick in row.panel] == list(range(10))
        assert {pick["key"] for pick in row.panel} <= {f"basics/{case['id']}" for case in cases()}


async def test_weights_count_in_what_is_shown(url: str, tmp_path: Path, clock: Clock) -> None:
    site = Site(tmp_path, url, "http://127.0.0.1:1/v1")
    async with FakeLLM(answers=answers(2)) as llm:
        site.config["endpoints"]["bot"]["url"] = llm.url
        site.cases = [{**cases(2)[0], "weight": 3.0}, cases(2)[1]]
        async with bench(site, clock) as it:
            await it.capture()
            llm.answers = {"q0": "a0", "q1": "wrong"}
            await it.run(clock)
            score = next(each for each in it.closed[-1].judged if each.measure.name == "score")
    assert score.stat is not None
    assert (score.stat.n, score.stat.mean) == (2, 0.75)
