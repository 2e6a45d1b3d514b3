"""Two hundred kills at random moments, while incidents open and resolve; nothing decided is lost."""

import asyncio
import itertools
import random
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from monitor.store.tables import incidents, notifications, permits
from tests.acceptance.audit import audit
from tests.acceptance.books import Books, books
from tests.acceptance.daemons import Host, until
from tests.acceptance.places import place
from tests.fakes.llm import Asked, FakeLLM
from tests.fakes.slack import Call, FakeSlack
from tests.site import Site, answers

pytestmark = [pytest.mark.kill, pytest.mark.timeout(600)]

#: Lives after which the endpoint gets worse, or better again.
_FLIP = 20
#: Seconds from start to ready, on an idle machine.
_START_SECONDS = 1.2
#: One life in so many lasts longer than the second that a kill may cost.
_LONG = 8


@pytest.mark.parametrize(
    ("store_url", "kills", "seed"),
    [("sqlite", 75, 20260301), ("sqlite", 75, 20260302), ("postgresql", 50, 20260303)],
    indirect=["store_url"],
)
async def test_nothing_decided_is_lost_over_kills_at_random_moments(
    store_url: str, tmp_path: Path, host: Host, kills: int, seed: int
) -> None:
    answered: list[tuple[float, str]] = []

    async def note(asked: Asked) -> None:
        answered.append((time.time(), asked.prompt))

    async def think(call: Call) -> None:
        await asyncio.sleep(0.1)  # so that some kills come between a message and its receipt

    async with (
        FakeLLM(answers=answers(), latency=0.1, latency_sigma=0.3, after_answer=note) as llm,
        FakeSlack() as slack,
        books(store_url) as kept,
    ):
        slack.before_answer = think
        site = place(tmp_path, store_url, llm, slack, concurrency=4)
        rng = random.Random(seed)
        judged = 0
        pace = await _pace(host, site)
        for number in itertools.count():
            # A slow machine judges fewer rounds between kills: it is killed more often, until it had to tell.
            if number >= kills and (await kept.count(select(incidents)) or number >= 2 * kills):
                break
            judged += await kept.judging()
            llm.skill = 0.2 if judged // _FLIP % 2 else 1.0
            life = host.start(site.path)
            await asyncio.sleep(pace * (rng.uniform(0.05, 1.2) if number % _LONG else rng.uniform(1.2, 3.0)))
            life.kill()
            assert await life.ended() == -9, life.said
            await kept.expire()
        llm.skill = 1.0
        await _quiet_life(host, site, kept)
        found = await audit(kept, host.lives, answered, slack)
    print(f"\nseed {seed}: {found}")
    assert found.faults == {}
    assert found.kills >= kills
    assert found.safe_replies > 0
    assert found.transitions["opened"] >= 1
    assert found.transitions["resolved"] >= 1


async def _pace(host: Host, site: Site) -> float:
    """How much slower than the machine that these lives are measured for this one starts; at least 1."""
    began = time.monotonic()
    life = host.start(site.path)
    await until(lambda: " is ready on " in life.said, "the start")
    life.kill()
    await life.ended()
    return max(1.0, (time.monotonic() - began) / _START_SECONDS)


async def _quiet_life(host: Host, site: Site, kept: Books) -> None:
    """A last life: it runs until incidents are over, then has no more slots, and ends when all is told."""
    life = host.start(site.path)
    before = {row.id for row in await kept.rounds()}

    async def recovered() -> bool:
        ended = [row for row in await kept.rounds("scheduled") if row.id not in before and row.closed]
        firing = await kept.count(select(incidents).where(incidents.c.state != "resolved"))
        return len(ended) >= 3 and (firing == 0 or len(ended) >= 30)

    await until(recovered, "rounds of a quiet life")
    site.config["probes"]["quality"]["every"] = "31d"
    site.write()
    life.reload()
    await until(lambda: "config reloaded" in life.said, "the reload")

    async def idle() -> bool:
        owed = select(notifications).where(notifications.c.state.in_(["due", "sending"]))
        under_way = [row for row in await kept.rounds() if row.state == "open"]
        return not under_way and not await kept.count(owed) and not await kept.count(select(permits))

    await until(idle, "nothing is under way")
    await life.stop()
