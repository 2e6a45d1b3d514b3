"""One probe result from slot to notification, on both databases, with a fake endpoint and a fake clock."""

from pathlib import Path

from sqlalchemy import func, select

from monitor.store import incidents
from monitor.store.tables import exposures, notifications, results, rounds
from tests.conftest import Clock
from tests.fakes.llm import FakeLLM
from tests.monitor.timeless import bench
from tests.site import Site, answers


async def test_a_drop_in_quality_becomes_one_incident_and_one_message_owed(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        await it.capture()
        assert await it.run(clock, 5) == ["complete"] * 5
        llm.skill = 0.3
        await it.run(clock, 8)
        async with it.store.read() as connection:
            (incident,) = await incidents.load_open(connection)
            owed = (await connection.execute(select(notifications).order_by(notifications.c.seq))).all()
    assert incident.labels["endpoint"] == "bot"
    assert "score down" in incident.firing[0].summary
    assert incident.severity == "critical"
    assert owed[0].kind == "opened"
    assert {row.channel for row in owed} == {"log"}


async def test_a_recovered_endpoint_resolves_its_incident(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    # Latencies are real here: they vary so much that what else this machine does cannot look like a change.
    fake = FakeLLM(answers=answers(), latency=0.02, latency_sigma=0.7)
    async with fake as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        await it.capture()
        await it.run(clock, 3)
        llm.skill = 0.2
        await it.run(clock, 6)
        llm.skill = 1.0
        await it.run(clock, 12)
        async with it.store.read() as connection:
            assert await incidents.load_open(connection) == []
            (incident,) = await incidents.recent(connection, 10)
            told = select(notifications.c.kind).order_by(notifications.c.seq)
            kinds = (await connection.execute(told)).scalars().all()
    assert incident.resolution == "recovered"
    assert kinds[0] == "opened"
    assert kinds[-1] == "resolved"


async def test_a_slot_runs_once_however_often_it_is_asked_for(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        await it.capture()
        slot = it.watch.grid.slot(clock())
        first = await it.runtime.rounds.scheduled(it.watch, slot)
        second = await it.runtime.rounds.scheduled(it.watch, slot)
        async with it.store.read() as connection:
            stored = await connection.execute(
                select(func.count()).select_from(results).where(results.c.kind == "scheduled")
            )
            assert stored.scalar_one() == 10
    assert (first, second) == ("complete", "taken")


async def test_the_rotation_asks_every_case_before_any_is_asked_twice(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        await it.capture()
        await it.run(clock, 2)
        async with it.store.read() as connection:
            asked = (await connection.execute(select(exposures.c.asked))).scalars().all()
            panels = (
                (await connection.execute(select(rounds.c.panel).where(rounds.c.kind == "scheduled")))
                .scalars()
                .all()
            )
    assert sum(asked) == 20
    assert max(asked) <= 2
    assert all(0 < pick["inclusion"] <= 1 for panel in panels for pick in panel)
    assert all(sum(pick["split"] == "held_out" for pick in panel) <= 3 for panel in panels)
