"""Two daemons on one PostgreSQL: each slot runs once, and one takes over what the other leaves when it dies."""

import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import select

from monitor.store.tables import replicas, rounds
from tests.acceptance.audit import audit
from tests.acceptance.books import Books, books
from tests.acceptance.daemons import Host, Life, until
from tests.acceptance.places import place
from tests.fakes.llm import Asked, FakeLLM
from tests.fakes.slack import FakeSlack
from tests.site import answers

pytestmark = [pytest.mark.kill, pytest.mark.timeout(240)]

_ENDPOINTS = ("ada", "bot", "cleo")


@dataclass(kw_only=True)
class Pair:
    """What two daemons share."""

    config: Path
    llm: FakeLLM
    slack: FakeSlack
    kept: Books
    answered: list[tuple[float, str]] = field(default_factory=list)

    async def past(self, slots: int) -> None:
        """Waits until every endpoint has so many slots behind it."""

        async def look() -> bool:
            ended = [row.endpoint for row in await self.kept.rounds("scheduled") if row.state == "closed"]
            return min(Counter(ended)[name] for name in _ENDPOINTS) >= slots

        await until(look, f"{slots} slots of each endpoint")


@asynccontextmanager
async def pair(folder: Path, store_url: str) -> AsyncIterator[Pair]:
    """A site with three endpoints; the daemons are the test's to start."""
    async with (
        FakeLLM(answers=answers(), latency=0.02, latency_sigma=0.3) as llm,
        FakeSlack() as slack,
        books(store_url) as kept,
    ):
        site = place(folder, store_url, llm, slack, concurrency=4, endpoints=_ENDPOINTS)
        it = Pair(config=site.path, llm=llm, slack=slack, kept=kept)

        async def note(asked: Asked) -> None:
            it.answered.append((time.time(), asked.prompt))

        llm.after_answer = note
        yield it


async def _worse_and_better(it: Pair) -> None:
    """An incident on every endpoint, from its first message to its last."""
    it.llm.skill = 0.2
    await until(lambda: len(it.slack.posts) >= len(_ENDPOINTS), "an incident of each endpoint")
    it.llm.skill = 1.0

    def over() -> bool:
        return all(it.slack.thread(each.ts) and each.text.startswith("RESOLVED") for each in it.slack.posts)

    await until(over, "all of them are over")


async def test_two_daemons_run_each_slot_once(postgres_url: str, tmp_path: Path, host: Host) -> None:
    async with pair(tmp_path, postgres_url) as it:
        both = [host.start(it.config), host.start(it.config)]
        await until(it.kept.judging, "baselines")
        await it.past(3)
        await _worse_and_better(it)
        await it.past(15)
        for life in both:
            life.signal(signal.SIGTERM)
        for life in both:
            assert await life.ended() == 0, life.said
        requests = Counter((each.body["model"], each.prompt) for each in it.llm.requests)
        rows = await it.kept.results()
        stored = Counter((f"{row.endpoint}-1", row.case_key.replace("basics/c", "q")) for row in rows)
        assert requests == stored  # nothing was asked twice, nothing answered was lost
        every = await it.kept.rounds()
        assert len({row.replica for row in every}) == 2
        for row in every:
            seqs = sorted(each.seq for each in rows if each.round_id == row.id)
            assert seqs == list(range(len(row.panel))) or row.state == "open" or row.outcome == "overlapped"
        captured = Counter((row.endpoint, row.case_key) for row in rows if row.kind == "baseline")
        assert set(captured.values()) == {5}
        assert len(it.slack.posts) == len({_incident(each.metadata) for each in it.slack.posts})
        assert all("this is a bug" not in life.said for life in both)
    print(f"\n{Counter(f'{row.kind} {row.outcome}' for row in every)}, {len(rows)} replies")


def _incident(metadata: dict[str, dict[str, str]]) -> str:
    return metadata["event_payload"]["incident"]


async def test_a_daemon_takes_over_what_a_killed_one_leaves(
    postgres_url: str, tmp_path: Path, host: Host
) -> None:
    async with pair(tmp_path, postgres_url) as it:
        first = host.start(it.config)
        await first.page()
        ((dead,),) = await it.kept.rows(select(replicas.c.id))
        second = host.start(it.config)
        await until(it.kept.judging, "baselines")
        await it.past(3)
        left: list[str] = []

        async def kill_its_owner(asked: Asked) -> None:
            mine = (rounds.c.state == "open") & (rounds.c.replica == dead)
            name = asked.body["model"].removesuffix("-1")
            found = await it.kept.rows(select(rounds.c.id).where(mine, rounds.c.endpoint == name))
            if found and first.status is None and not left:
                first.kill()
                left.append(found[0].id)

        it.llm.before_answer = kill_its_owner
        assert await first.ended() == -9
        it.llm.before_answer = None
        await it.kept.expire(dead)

        async def taken_over() -> bool:
            return not await it.kept.rows(
                select(rounds.c.id).where(rounds.c.id == left[0], rounds.c.state == "open")
            )

        await until(taken_over, "the round is taken over")
        (row,) = [row for row in await it.kept.rounds() if row.id == left[0]]
        assert row.outcome in {"partial", "complete"}
        assert row.replica != dead
        assert row.fence == 2
        await _worse_and_better(it)
        await _quiet(it, second)
        found = await audit(it.kept, host.lives, it.answered, it.slack)
    print(f"\n{found}")
    assert found.faults == {}


async def _quiet(it: Pair, life: Life) -> None:
    """Ends a daemon between its rounds."""
    text = it.config.read_text()
    it.config.write_text(text.replace("every: 1s", "every: 31d"))
    life.reload()
    await until(lambda: "config reloaded" in life.said, "the reload")

    async def idle() -> bool:
        return all(row.state == "closed" for row in await it.kept.rounds())

    await until(idle, "no round is under way")
    await life.stop()
