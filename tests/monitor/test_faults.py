"""Every way in which an endpoint can fail, through whole rounds: the design's table of outcomes, row by row."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor.store.tables import endpoints, notifications, results, round_stats, rounds, streams
from tests import site as timed
from tests.conftest import Clock
from tests.fakes.llm import FakeLLM
from tests.monitor.look import all_incidents, knowledge, open_incidents, rows, states
from tests.monitor.timeless import bench
from tests.site import Site, answers

#: Fault of the fake -> outcome of each attempt, outcome of the round.
ENDS = {
    "429": ("rate_limited", "partial"),
    "500": ("server", "complete"),
    "503": ("server", "complete"),
    "400": ("server", "complete"),
    "401": ("auth", "complete"),
    "403": ("auth", "complete"),
    "404": ("auth", "complete"),
    "302": ("auth", "complete"),
    "hang": ("timeout", "complete"),
    "slow_drip": ("timeout", "complete"),
    "cut_stream": ("truncated", "complete"),
    "reset": ("reset", "complete"),
    "disconnect": ("reset", "complete"),
    "invalid_utf8": ("malformed", "complete"),
    "wrong_json": ("malformed", "complete"),
    "no_choices": ("malformed", "complete"),
    "html": ("malformed", "complete"),
    "error_inside": ("server", "complete"),
    "big_body": ("too_large", "complete"),
}
#: Outcomes that feed the `errors` stream.
HELD_AGAINST = {"timeout", "truncated", "reset", "malformed", "server", "too_large", "refused", "tls"}
LEARNT = ("score", "latency", "time_to_first_token", "output_tokens")


def site(folder: Path, store_url: str, llm: FakeLLM) -> Site:
    made = Site(folder, store_url, llm.url)
    made.config["endpoints"]["bot"] |= {"timeout": "1s", "max_body_bytes": 200_000}
    made.config["probes"]["quality"]["cases_per_round"] = 5
    return made


async def errors_of(store, round_id):
    """How many attempts of a round the `errors` stream saw, and the share that failed."""
    (stream,) = await rows(store, streams, streams.c.measure == "errors")
    (stat,) = await rows(
        store, round_stats, round_stats.c.round_id == round_id, round_stats.c.stream_id == stream.id
    )
    return stat.n, stat.mean


@pytest.mark.parametrize("fault", ENDS)
async def test_a_fault_ends_as_its_outcome_and_teaches_no_stream_but_errors(
    fault: str, tmp_path: Path, clock: Clock
) -> None:
    attempt, end = ENDS[fault]
    url = f"sqlite:///{tmp_path}/plumbline.db"
    async with FakeLLM(answers=answers()) as llm, timed.bench(site(tmp_path, url, llm), clock) as it:
        await it.capture()
        await it.run(clock)
        before = [await knowledge(it.store, measure) for measure in LEARNT]
        llm.fault = fault
        assert await it.run(clock) == [end]
        assert [await knowledge(it.store, measure) for measure in LEARNT] == before
        latest = it.closed[-1].claim.id
        stored = await rows(it.store, results, results.c.round_id == latest)
        seen = await errors_of(it.store, latest)
    assert [row.outcome for row in stored] == [attempt] * 5
    assert all(row.score is None and row.scores == {} and row.reply_hash is None for row in stored)
    assert all(row.detail for row in stored)
    assert seen == ((5, 1.0) if attempt in HELD_AGAINST else (0, None))


async def test_all_faults_one_after_the_other_move_no_score(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(site(tmp_path, store_url, llm), clock) as it:
        await it.capture()
        await it.run(clock, 2)
        before = await knowledge(it.store, "score")
        for fault in sorted(ENDS.keys() - {"hang", "slow_drip"}):
            llm.fault = fault
            await it.run(clock)
        await llm.down()
        await it.run(clock)
        await llm.up()
        assert await knowledge(it.store, "score") == before
        llm.fault = "none"
        assert await it.run(clock) == ["complete"]
        assert (await states(it.store))["score"].verdict["kind"] == "steady"


async def test_an_endpoint_that_speaks_no_tls_fails_by_itself(tmp_path: Path, clock: Clock) -> None:
    url = f"sqlite:///{tmp_path}/plumbline.db"
    async with FakeLLM(answers=answers()) as llm, bench(site(tmp_path, url, llm), clock) as it:
        await it.capture()
        it.site.config["endpoints"]["bot"]["url"] = llm.url.replace("http:", "https:")
        await it.reload()
        assert await it.run(clock) == ["complete"]
        assert it.closed[-1].outcomes == {"tls": 5}
        assert await errors_of(it.store, it.closed[-1].claim.id) == (5, 1.0)


async def test_a_reply_beside_faults_still_counts(tmp_path: Path, clock: Clock) -> None:
    url = f"sqlite:///{tmp_path}/plumbline.db"
    async with FakeLLM(answers=answers()) as llm, bench(site(tmp_path, url, llm), clock) as it:
        await it.capture()
        llm.behave(fault="500", fault_count=2)
        assert await it.run(clock) == ["complete"]
        closed = it.closed[-1]
    assert closed.outcomes == {"ok": 3, "server": 2}
    seen = {each.measure.name: (each.stat.n, each.stat.mean) for each in closed.judged if each.stat}
    assert seen["score"] == (3, 1.0)
    assert seen["errors"] == (5, 0.4)


async def test_an_endpoint_that_is_down_is_critical_at_once_and_resolved_when_it_is_back(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(site(tmp_path, store_url, llm), clock) as it:
        await it.capture()
        await it.run(clock, 2)
        await llm.down()
        await it.run(clock, 2)
        (incident,) = await open_incidents(it.store)
        await llm.up()
        await it.run(clock, 14)
        (over,) = await all_incidents(it.store)
        kinds = [row.kind for row in await rows(it.store, notifications)]
    assert incident.severity == "critical"
    assert incident.lead.summary == "endpoint down: 5 of 5 attempts failed (refused 5)"
    assert (over.id, over.state, over.resolution) == (incident.id, "resolved", "recovered")
    assert (kinds[0], kinds[-1]) == ("opened", "resolved")
    assert kinds.count("opened") == kinds.count("resolved") == 1


async def test_a_wrong_key_is_one_warning_until_the_endpoint_answers_again(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(site(tmp_path, store_url, llm), clock) as it:
        await it.capture()
        llm.behave(fault="401", error_message="the key has expired")
        await it.run(clock, 4)
        (row,) = await rows(it.store, endpoints)
        (incident,) = await open_incidents(it.store)
        owed = await rows(it.store, notifications)
        llm.fault = "none"
        await it.run(clock)
        (after,) = await rows(it.store, endpoints)
        (over,) = await all_incidents(it.store)
    assert row.state == "misconfigured"
    assert "the key has expired" in row.state_detail
    assert [member.name for member in incident.members] == ["misconfigured"]
    assert incident.severity == "warning"
    assert [each.kind for each in owed] == ["opened"]
    assert (after.state, over.state) == ("ok", "resolved")


async def test_being_slowed_down_is_a_warning_of_its_own(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(site(tmp_path, store_url, llm), clock) as it:
        await it.capture()
        llm.behave(fault="429", fault_count=3)
        assert await it.run(clock) == ["partial"]
        (incident,) = await open_incidents(it.store)
        await it.run(clock)
        (over,) = await all_incidents(it.store)
    assert incident.severity == "warning"
    assert incident.lead.summary == "rate limited: 3 of 5 attempts in one round"
    assert over.state == "resolved"


@contextmanager
def deaf_host() -> Iterator[str]:
    """An address that drops our packets: the accept queue of its socket is full."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@contextmanager
def nameless() -> Iterator[str]:
    """An address whose name nobody knows."""
    yield "http://no-such-host.invalid/v1"


@contextmanager
def port(*, listening: bool) -> Iterator[str]:
    """An address outside that accepts connections, or refuses them."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if listening:
            listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


UNREACHABLE = {"dns": nameless, "connect_timeout": deaf_host}


@pytest.mark.parametrize("outcome", UNREACHABLE)
@pytest.mark.parametrize("check", ["no target", "dead target"])
async def test_without_a_proven_network_nothing_is_held_against_an_unreachable_endpoint(
    outcome: str, check: str, tmp_path: Path, clock: Clock
) -> None:
    url = f"sqlite:///{tmp_path}/plumbline.db"
    with UNREACHABLE[outcome]() as address, port(listening=False) as target:
        async with FakeLLM(answers=answers()) as llm, bench(site(tmp_path, url, llm), clock) as it:
            await it.capture()
            await it.run(clock, 2)
            before = await knowledge(it.store, "errors")
            it.site.config["endpoints"]["bot"] |= {"url": address, "connect_timeout": 0.05}
            it.site.config["uplink"] = {"targets": [target] if check == "dead target" else []}
            await it.reload()
            assert await it.run(clock, 3) == ["no_uplink"] * 3
            assert it.closed[-1].outcomes == {outcome: 5}
            assert await knowledge(it.store, "errors") == before
            assert await all_incidents(it.store) == []
            (latest,) = await rows(it.store, rounds, rounds.c.id == it.closed[-1].claim.id)
    assert latest.counts["uplink_up"] is False


@pytest.mark.parametrize("outcome", UNREACHABLE)
async def test_with_a_proven_network_an_unreachable_endpoint_is_down(
    outcome: str, tmp_path: Path, clock: Clock
) -> None:
    url = f"sqlite:///{tmp_path}/plumbline.db"
    with UNREACHABLE[outcome]() as address, port(listening=True) as target:
        async with FakeLLM(answers=answers()) as llm, bench(site(tmp_path, url, llm), clock) as it:
            await it.capture()
            await it.run(clock, 2)
            it.site.config["endpoints"]["bot"] |= {"url": address, "connect_timeout": 0.05}
            it.site.config["uplink"] = {"targets": [target]}
            await it.reload()
            assert await it.run(clock, 2) == ["complete"] * 2
            (incident,) = await open_incidents(it.store)
    assert incident.severity == "critical"
    words = outcome.replace("_", " ")
    assert incident.lead.summary == f"endpoint down: 5 of 5 attempts failed ({words} 5)"


async def test_a_reply_of_another_endpoint_within_a_minute_proves_the_network(
    tmp_path: Path, clock: Clock
) -> None:
    url = f"sqlite:///{tmp_path}/plumbline.db"
    async with FakeLLM(answers=answers()) as llm, bench(site(tmp_path, url, llm), clock) as it:
        await it.capture()
        it.site.config["endpoints"]["bot"]["url"] = "http://no-such-host.invalid/v1"
        await it.reload()
        clock.now = it.watch.grid.after(clock.now)
        slot = clock.now
        it.runtime.uplink.replied("another")
        assert await it.runtime.rounds.scheduled(it.watch, slot) == "complete"
        assert await errors_of(it.store, it.closed[-1].claim.id) == (5, 1.0)
        assert await it.run(clock) == ["no_uplink"]


async def test_our_own_limits_never_read_as_the_endpoints_failure(tmp_path: Path, clock: Clock) -> None:
    url = f"sqlite:///{tmp_path}/plumbline.db"
    async with FakeLLM(answers=answers()) as llm, bench(site(tmp_path, url, llm), clock) as it:
        await it.capture()
        for _ in range(6):
            llm.behave(fault="500", fault_count=2)  # of five
            await it.run(clock)
        (before,) = await open_incidents(it.store)
        it.site.config["endpoints"]["bot"] |= {
            "price": {"input_per_mtok": 1.0, "output_per_mtok": 1.0},
            "limits": {"usd_per_day": 0.0011},  # enough for one attempt
        }
        llm.fault = "none"
        await it.reload()
        assert await it.run(clock) == ["partial"]
        assert it.closed[-1].outcomes == {"ok": 1, "no_budget": 4}
        clock.advance(minutes=10)  # until the words of an open incident may change
        assert (await it.run(clock))[0] in {"partial", "no_budget"}
        (after,) = await open_incidents(it.store)
    assert before.severity == after.severity == "warning"
    assert after.lead.summary.startswith("errors up")
