"""The endpoint kills the daemon: whatever was stored is never asked again, and whatever was not is asked once more."""

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.books import Books, asked, books, prompts
from tests.acceptance.daemons import Host, Life, until
from tests.acceptance.places import HOUR, place
from tests.fakes.llm import Asked, FakeLLM
from tests.site import answers

pytestmark = [pytest.mark.kill, pytest.mark.timeout(240)]


class Killer:
    """Kills a daemon at the n-th request, once there is something in the store if that is asked for."""

    def __init__(self, life: Life, at: int, ready: Callable[[], Awaitable[bool]] | None) -> None:
        self._life = life
        self._at = at
        self._ready = ready
        self._seen = 0

    async def __call__(self, asked: Asked) -> None:
        self._seen += 1
        if self._seen == self._at:
            if self._ready is not None:
                await until(self._ready, "something was stored")
            self._life.kill()


def arm(llm: FakeLLM, when: str, killer: Killer) -> None:
    if when == "before":
        llm.before_answer = killer
    else:
        llm.after_answer = killer


def disarm(llm: FakeLLM) -> None:
    llm.before_answer = llm.after_answer = None
    llm.requests.clear()


async def capture(host: Host, config: Path, kept: Books, llm: FakeLLM) -> None:
    """One quiet life, in which the baseline is captured."""
    latency, llm.latency = llm.latency, 0.0
    life = host.start(config)
    await until(kept.judging, "a baseline")
    await life.stop()
    llm.latency = latency


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("stored", [False, True], ids=["nothing-stored", "something-stored"])
async def test_a_killed_round_is_resumed_with_exactly_the_missing_cases(
    store_url: str, tmp_path: Path, host: Host, when: str, stored: bool
) -> None:
    async with FakeLLM(answers=answers(), latency=0.05) as llm, books(store_url) as kept:
        site = place(tmp_path, store_url, llm, every=HOUR)
        await capture(host, site.path, kept, llm)
        assert await kept.rounds("scheduled") == []

        life = host.start(site.path)
        arm(llm, when, Killer(life, 5, kept.part_stored if stored else None))
        assert await life.ended() == -9
        disarm(llm)
        (before,) = await kept.rounds("scheduled")
        had = await kept.results(before.id)
        assert before.state == "open"
        assert bool(had) == stored

        await kept.expire()
        life = host.start(site.path)

        async def closed() -> bool:
            return all(row.state == "closed" for row in await kept.rounds("scheduled"))

        await until(closed, "the round is closed")
        await life.stop()
        (after,) = await kept.rounds("scheduled")
        rows = await kept.results(after.id)
        assert (after.id, after.outcome) == (before.id, "complete")
        assert sorted(row.seq for row in rows) == list(range(10))
        assert asked(llm) == prompts(rows) - prompts(had)
        assert {row.id for row in had} <= {row.id for row in rows}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", [4, 40], ids=["first-chunk", "second-chunk"])
async def test_a_killed_capture_goes_on_where_it_was(
    store_url: str, tmp_path: Path, host: Host, when: str, at: int
) -> None:
    async with FakeLLM(answers=answers(), latency=0.01) as llm, books(store_url) as kept:
        site = place(tmp_path, store_url, llm, every=HOUR)
        life = host.start(site.path)
        arm(llm, when, Killer(life, at, None))
        assert await life.ended() == -9
        disarm(llm)
        had = await kept.results()

        await kept.expire()
        life = host.start(site.path)
        await until(kept.judging, "a baseline")
        await life.stop()
        rows = await kept.results()
        assert {row.kind for row in rows} == {"baseline"}
        usable = [row for row in rows if row.outcome == "ok"]  # a busy machine may have been late for some
        assert prompts(usable) == Counter({prompt: 5 for prompt in answers()})
        assert asked(llm) == prompts(rows) - prompts(had)
        if usable == rows:
            assert [row.outcome for row in await kept.rounds()] == ["complete", "complete"]


async def test_a_round_that_is_too_old_to_be_resumed_is_closed_as_partial(
    store_url: str, tmp_path: Path, host: Host
) -> None:
    every = timedelta(seconds=4)
    async with FakeLLM(answers=answers(), latency=0.05) as llm, books(store_url) as kept:
        site = place(tmp_path, store_url, llm, every=every)

        life = host.start(site.path)
        await until(kept.judging, "a baseline")
        arm(llm, "before", Killer(life, 7, kept.part_stored))
        assert await life.ended() == -9
        disarm(llm)
        (before,) = [row for row in await kept.rounds("scheduled") if row.state == "open"]
        had = await kept.results(before.id)
        await until(lambda: datetime.now(UTC) - before.slot > every / 2, "the slot is old")

        await kept.expire()
        life = host.start(site.path)

        async def closed() -> bool:
            return before.id not in {row.id for row in await kept.rounds() if row.state == "open"}

        await until(closed, "the round is closed")
        life.kill()
        await life.ended()
        (after,) = [row for row in await kept.rounds() if row.id == before.id]
        assert (after.id, after.outcome) == (before.id, "partial")
        assert [row.id for row in await kept.results(after.id)] == [row.id for row in had]
        assert 0 < len(had) < 10
