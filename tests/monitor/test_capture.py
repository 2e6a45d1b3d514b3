"""Capturing a baseline: how much is asked, when it is refused or waits, what it costs, who it may displace."""

import asyncio
from pathlib import Path

import pytest

from monitor import capture
from monitor.store import baselines as versions
from monitor.store.ledger import spent_today
from monitor.store.tables import baselines, case_references, events, results, rounds
from tests.conftest import Clock
from tests.fakes.llm import FakeLLM
from tests.monitor.look import open_incidents, rows, told
from tests.site import Bench, Site, answers, bench, cases

PRICE = {"input_per_mtok": 1_000_000.0, "output_per_mtok": 1_000_000.0}  # a dollar a token


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/plumbline.db"


async def kept(it: Bench) -> list[tuple[int, str]]:
    return sorted((row.version, row.state) for row in await rows(it.store, baselines))


@pytest.mark.parametrize(("count", "runs", "each"), [(20, 3, 5), (40, 3, 3), (7, 3, 15), (5, 30, 30)])
async def test_a_case_is_asked_three_times_or_until_there_are_a_hundred_replies(
    count: int, runs: int, each: int, url: str, tmp_path: Path, clock: Clock
) -> None:
    site = Site(tmp_path, url, "http://127.0.0.1:1/v1")
    async with FakeLLM(answers=answers(count)) as llm:
        site.config["endpoints"]["bot"]["url"] = llm.url
        site.config["baseline"]["runs"] = runs
        site.cases = cases(count)
        async with bench(site, clock) as it:
            await it.capture()
            known = await rows(it.store, case_references, case_references.c.measure == "score")
            assert await kept(it) == [(1, "accepted")]
    assert [(row.runs, row.captured_runs, row.total) for row in known] == [(each, each, each)] * count
    assert len(llm.requests) == count * each


async def test_a_dead_endpoint_costs_one_round_and_the_reason_is_said(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(fault="500") as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        assert await it.run(clock) == ["learning"]
        (row,) = await rows(it.store, baselines)
        (said,) = await told(it.store, "baseline")
        (incident,) = await open_incidents(it.store)
    assert len(llm.requests) == 10
    assert row.state == "refused"
    assert row.reason == (
        "10 of 10 attempts failed (server 10); a baseline needs an endpoint that works (at most 5 % failures)"
    )
    assert said == f"quality: baseline version 1 refused: {row.reason}"
    assert incident.lead.summary.startswith("endpoint down")


async def test_after_a_refusal_each_slot_tries_again_and_a_refusal_is_told_once(
    url: str, tmp_path: Path, clock: Clock
) -> None:
    dead = FakeLLM(answers=answers(), fault="500")
    async with dead as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        assert await it.run(clock, 3) == ["learning"] * 3
        assert len(llm.requests) == 30
        assert await kept(it) == [(1, "refused")]
        assert len(await told(it.store, "baseline")) == 1
        llm.fault = "none"
        assert await it.run(clock, 2) == ["learning", "complete"]
        assert await kept(it) == [(1, "accepted")]
        assert len(await told(it.store, "baseline")) == 2


@pytest.mark.parametrize(("failing", "state"), [(5, "accepted"), (7, "refused")])
async def test_five_percent_may_fail_and_are_asked_again(
    failing: int, state: str, url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        asked = 0

        async def fail_late(request):
            nonlocal asked
            asked += 1
            llm.fault = "500" if 20 < asked <= 20 + failing else "none"

        llm.before_answer = fail_late
        await it.capture()
        assert await kept(it) == [(1, state)]


def test_a_few_failures_among_the_first_attempts_decide_as_they_would_among_twenty() -> None:
    def refused(failed: int, attempts: int, wanted: int = 100) -> bool:
        return capture.Progress(
            done=0, wanted=wanted, attempts=attempts, failed=failed, reasons={"server": failed}
        ).refused

    assert not refused(1, 1)
    assert not refused(1, 20)
    assert refused(2, 2)
    assert refused(2, 20)
    assert not refused(5, 100)
    assert refused(6, 100)
    assert refused(1, 3, wanted=3)


async def test_a_capture_that_was_cut_short_goes_on_where_it_stood(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        async with asyncio.timeout(30):
            async for progress in it.runtime.captures.capturing(it.watch, author="a", reason="r"):
                if progress.done:
                    break
        before = len(llm.requests)
        assert progress.done == before == 10
        assert await kept(it) == [(1, "capturing")]
        async with bench(it.site, clock, seed=2) as other:
            assert await other.run(clock) == ["learning"]
            assert await kept(other) == [(1, "accepted")]
        assert len(llm.requests) == 100


async def test_an_endpoint_that_asks_us_to_slow_down_is_left_alone_until_the_next_slot(
    url: str, tmp_path: Path, clock: Clock
) -> None:
    async with (
        FakeLLM(answers=answers(), fault="429") as llm,
        bench(Site(tmp_path, url, llm.url), clock) as it,
    ):
        assert await it.run(clock, 2) == ["learning"] * 2
        assert len(llm.requests) == 20
        assert await kept(it) == [(1, "capturing")]
        llm.fault = "none"
        await it.run(clock)
        assert await kept(it) == [(1, "accepted")]


async def test_without_a_network_a_capture_waits_and_holds_nothing_against_the_endpoint(
    url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm:
        site = Site(tmp_path, url, "http://no-such-host.invalid/v1")
        async with bench(site, clock) as it:
            assert await it.run(clock, 3) == ["learning"] * 3
            assert await kept(it) == [(1, "capturing")]
            assert {row.outcome for row in await rows(it.store, rounds)} == {"no_uplink"}
            assert await open_incidents(it.store) == []
            site.config["endpoints"]["bot"]["url"] = llm.url
            await it.reload()
            await it.run(clock)
            assert await kept(it) == [(1, "accepted")]


async def test_an_empty_purse_stops_a_capture_without_refusing_it_and_other_days_end_it(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    site = Site(tmp_path, store_url, "http://127.0.0.1:1/v1")
    async with FakeLLM(answers=answers(), input_tokens=10, output_tokens=10) as llm:
        site.config["endpoints"]["bot"] |= {
            "url": llm.url,
            "price": PRICE,
            "params": {"max_tokens": 10},
            "limits": {"usd_per_day": 1000.0},
        }
        async with bench(site, clock) as it:
            assert await it.run(clock, 2) == ["learning"] * 2
            async with it.store.read() as connection:
                spent, reserved = (await spent_today(connection, clock.now.date()))["bot"]
            assert await kept(it) == [(1, "capturing")]
            assert {row.outcome for row in await rows(it.store, results)} == {"ok", "no_budget"}
            assert (spent, reserved) == (len(llm.requests) * 20 * 10**9, 0)
            assert 900 * 10**9 < spent <= 1000 * 10**9
            for _ in range(2):
                clock.advance(days=1)
                await it.run(clock, 2)
            assert await kept(it) == [(1, "accepted")]


async def test_what_a_capture_will_take_is_said_before(url: str, tmp_path: Path, clock: Clock) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        assert str(capture.estimate(it.watch)) == (
            "100 calls (20 cases), no price is set, so dollars are not known"
        )
        it.site.config["endpoints"]["bot"] |= {
            "price": {**PRICE, "input_per_mtok": 0.0},
            "params": {"max_tokens": 34},
        }
        await it.reload()
        half = capture.Progress(done=50, wanted=100, attempts=50, failed=0, reasons={})
        assert str(capture.estimate(it.watch, half)) == "50 calls (20 cases), at most $1700.0000"


async def test_a_provisional_version_judges_and_warns_at_most(url: str, tmp_path: Path, clock: Clock) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        it.site.config["baseline"]["auto_accept"] = False
        await it.reload()
        await it.capture()
        assert await kept(it) == [(1, "provisional")]
        (said,) = await told(it.store, "baseline")
        llm.skill = 0.0
        await it.run(clock, 4)
        (before,) = await open_incidents(it.store)
        async with it.store.write() as connection:
            (version,) = await versions.versions(connection, "bot", "quality")
            await versions.accept(connection, version, who="ann", why="looks right", now=clock())
        await it.run(clock)
        (after,) = await open_incidents(it.store)
    assert said.endswith("until you run `plumbline baseline accept quality --endpoint bot`")
    assert (before.severity, before.provisional) == ("warning", True)
    assert (after.severity, after.provisional) == ("critical", False)


async def test_a_new_provisional_version_does_not_displace_an_accepted_one(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        await it.capture()
        it.site.config["baseline"]["auto_accept"] = False
        await it.reload()
        llm.skill = 0.3
        await it.capture()
        assert await kept(it) == [(1, "accepted"), (2, "provisional")]
        async with it.store.read() as connection:
            active = await versions.active(connection, *it.watch.key, it.watch.subject)
        await it.run(clock, 3)
        (incident,) = await open_incidents(it.store)
    assert active is not None
    assert active.version == 1
    assert incident.severity == "critical"


async def test_replies_to_a_question_that_changed_meanwhile_do_not_count(
    url: str, tmp_path: Path, clock: Clock
) -> None:
    known = answers() | {"q0, please": "wrong"}
    async with FakeLLM(answers=known) as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        async for progress in it.runtime.captures.capturing(it.watch, author="a", reason="r"):
            if progress.done:
                break
        it.site.cases = [{"id": "c0", "prompt": "q0, please", "target": "a0"}, *cases()[1:]]
        await it.reload()
        await it.capture()
        (first,) = await rows(
            it.store,
            case_references,
            case_references.c.measure == "score",
            case_references.c.case_key == "basics/c0",
        )
        asked = await rows(it.store, results, results.c.case_key == "basics/c0")
    assert (first.runs, first.total) == (5, 0.0)
    assert len(asked) == 6


async def test_a_measure_that_an_endpoint_does_not_report_has_no_baseline(
    url: str, tmp_path: Path, clock: Clock
) -> None:
    silent = FakeLLM(answers=answers(), stream_allowed=False, output_tokens=0)
    async with silent as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        await it.capture()
        await it.run(clock)
        (row,) = await rows(it.store, baselines)
        kinds = {each.measure.name: each.verdict.kind for each in it.closed[-1].judged}
    assert set(row.fits) == {"score", "latency"}
    assert kinds["output_tokens"] == "learning"


async def test_what_happened_stands_among_the_events(url: str, tmp_path: Path, clock: Clock) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        await it.capture()
        (row,) = await rows(it.store, events, events.c.kind == "baseline")
    assert row.endpoint == "bot"
    assert row.text == (
        "quality: baseline version 1 captured from 100 replies, score 1.00 (0.96 to 1.00, n 100), "
        "accepted by config (baseline.auto_accept)"
    )
