"""What is under way, or was just finished, is not begun once more: neither by oneself nor by another replica."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select, update

from monitor.store.tables import replicas, rounds
from tests.acceptance.books import asked, books, prompts
from tests.acceptance.daemons import until
from tests.acceptance.places import HOUR, place
from tests.conftest import Clock
from tests.fakes.llm import Asked, FakeLLM
from tests.site import Site, answers, bench, daemon


async def test_a_round_under_way_is_not_taken_over_by_the_daemon_that_runs_it(
    store_url: str, tmp_path: Path
) -> None:
    goes_on = asyncio.Event()

    async def hold(_: Asked) -> None:
        await goes_on.wait()

    def now() -> datetime:
        return datetime.now(UTC)

    async with FakeLLM(answers=answers()) as llm, books(store_url) as kept:
        site = place(tmp_path, store_url, llm, every=HOUR)
        site.config["endpoints"]["bot"]["timeout"] = "60s"
        async with daemon(site, now):
            await until(kept.judging, "a baseline")
        llm.requests.clear()
        llm.before_answer = hold
        async with daemon(site, now) as app:
            await until(lambda: len(llm.requests) == 2, "a round is under way")
            beats: set[datetime] = set()

            async def beat_thrice() -> bool:
                async with kept.store.write() as connection:
                    await connection.execute(
                        update(rounds)
                        .where(rounds.c.state == "open")
                        .values(lease_until=now().replace(year=2000))
                    )
                mine = select(replicas.c.seen).where(replicas.c.id == app.runtime.replica)
                beats.update(row.seen for row in await kept.rows(mine))
                return len(beats) >= 3

            await until(beat_thrice, "two beats with an expired lease")
            goes_on.set()

            async def closed() -> bool:
                return all(row.state == "closed" for row in await kept.rounds("scheduled"))

            await until(closed, "the round is closed")
        (round,) = await kept.rounds("scheduled")
        assert (round.outcome, round.fence) == ("complete", 1)
        assert asked(llm) == prompts(await kept.results(round.id))


async def test_a_capture_that_another_replica_has_just_finished_is_not_begun_again(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        await it.capture()  # the other replica: we had looked before, and saw no baseline
        paid = len(llm.requests)
        captures = it.runtime.captures
        judging = await captures.capture(it.watch, author="plumbline", reason="test", if_missing=True)
        assert judging is not None
        assert judging.version == 1
        assert len(llm.requests) == paid
