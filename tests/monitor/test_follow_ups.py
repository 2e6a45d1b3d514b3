"""What detection wishes to ask besides the panel: unlikely replies once more, and more cases under suspicion."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from monitor.round import panel_of
from monitor.store.rounds import NO_WISHES, Wishes
from monitor.store.tables import exposures, results, rounds
from tests.conftest import START, Clock
from tests.fakes.llm import FakeLLM
from tests.monitor.timeless import bench
from tests.site import Bench, Site, answers


async def _panels(it: Bench) -> list[list[dict[str, Any]]]:
    query = select(rounds.c.panel).where(rounds.c.kind == "scheduled").order_by(rounds.c.slot)
    async with it.store.read() as connection:
        return list((await connection.execute(query)).scalars())


def _roles(panel: list[dict[str, Any]], role: str) -> list[str]:
    return [pick["key"] for pick in panel if pick.get("role") == role]


async def test_an_unlikely_reply_is_asked_twice_more_in_the_next_round_and_not_again(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        await it.capture()
        llm.answers = {**answers(), "q3": "something else"}
        await it.run(clock, 2)
        llm.answers = answers()
        await it.run(clock, 2)
        panels = await _panels(it)
    wrong = [n for n, panel in enumerate(panels[:2]) if "basics/c3" in {pick["key"] for pick in panel}]
    asked = {n: _roles(panel, "reask") for n, panel in enumerate(panels)}
    assert asked[wrong[0] + 1] == ["basics/c3"] * 2
    assert asked[0] == asked[3] == []
    assert all([pick["seq"] for pick in panel] == list(range(len(panel))) for panel in panels)


async def test_what_is_asked_besides_does_not_advance_the_rotation(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        await it.capture()
        llm.skill = 0.3
        await it.run(clock, 4)
        async with it.store.read() as connection:
            counted = (await connection.execute(select(exposures.c.asked))).scalars().all()
            stored = (
                await connection.execute(select(results.c.seq).where(results.c.kind == "scheduled"))
            ).all()
    assert sum(counted) == 40
    assert len(stored) > 40


async def test_re_asks_and_bursts_are_off_where_the_user_forbids_them(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm:
        site = Site(tmp_path, store_url, llm.url)
        site.config["probes"]["quality"] |= {"reasks": False, "bursts": False}
        async with bench(site, clock) as it:
            await it.capture()
            llm.skill = 0.3
            await it.run(clock, 4)
            panels = await _panels(it)
    assert [len(panel) for panel in panels] == [10] * 4


@pytest.mark.parametrize(("wishes", "extra"), [(NO_WISHES, 0), (Wishes(burst=True), 20)])
async def test_a_burst_asks_two_panels_more_beginning_with_those_whose_turn_is_next(
    store_url: str, tmp_path: Path, clock: Clock, wishes: Wishes, extra: int
) -> None:
    async with bench(Site(tmp_path, store_url, "http://127.0.0.1:1/v1"), clock) as it:
        panel = panel_of(it.watch, {}, START, wishes)
    regular = {pick["key"] for pick in panel if "role" not in pick}
    assert len(regular) == 10
    assert len(_roles(panel, "burst")) == extra
    if extra:
        assert set(_roles(panel, "burst")) >= set(it.watch.cases) - regular


async def test_a_case_that_left_the_pool_is_not_asked_again(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with bench(Site(tmp_path, store_url, "http://127.0.0.1:1/v1"), clock) as it:
        panel = panel_of(it.watch, {}, START, Wishes(again=("basics/c3", "basics/gone")))
    assert _roles(panel, "reask") == ["basics/c3"] * 2
