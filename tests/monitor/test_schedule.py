"""Cron slots, and a scheduler that wakes us at slots and decides nothing."""

import asyncio
import random
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from monitor.config.model import Probe
from monitor.grid import EveryGrid, Grid, every_grid
from monitor.schedule import CronGrid, Schedule, _GridTrigger, grid_of
from tests.conftest import START

_MINUTE = timedelta(minutes=1)
_FROM, _TO = datetime(2023, 12, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC)
_WEEKDAYS = range(5)

_CRONS: dict[str, Callable[[datetime], bool]] = {
    "* * * * *": lambda at: True,
    "*/15 * * * *": lambda at: at.minute % 15 == 0,
    "7 */6 * * *": lambda at: at.minute == 7 and at.hour % 6 == 0,
    "0,30 8-17 * * mon-fri": lambda at: (
        at.minute in (0, 30) and 8 <= at.hour <= 17 and at.weekday() in _WEEKDAYS
    ),
    "* 2 * * sun": lambda at: at.hour == 2 and at.weekday() == 6,
    "59 23 31 * *": lambda at: (at.minute, at.hour, at.day) == (59, 23, 31),
    "* * 1 * *": lambda at: at.day == 1,
    "30 2 29 2 *": lambda at: (at.minute, at.hour, at.day, at.month) == (30, 2, 29, 2),
}


@cache
def _minutes() -> tuple[datetime, ...]:
    return tuple(_FROM + n * _MINUTE for n in range((_TO - _FROM) // _MINUTE))


@pytest.mark.parametrize("expression", _CRONS)
def test_a_cron_grid_agrees_with_counting_every_minute_of_a_year(expression: str) -> None:
    grid, rng = CronGrid(expression), random.Random(expression)
    slots = [at for at in _minutes() if _CRONS[expression](at)]
    inside = slots[-1] - slots[0] or _MINUTE
    for _ in range(40):
        now = slots[0] + min(rng.random(), 0.999) * inside
        newest = bisect_right(slots, now) - 1
        assert grid.slot(now) == slots[newest]
        assert grid.slot(slots[newest]) == slots[newest]
        if newest + 1 < len(slots):
            assert grid.after(now) == grid.after(slots[newest]) == slots[newest + 1]
    assert grid.after(slots[0] - timedelta(microseconds=1)) == slots[0]


@pytest.mark.parametrize("expression", _CRONS)
def test_slots_a_day_are_those_of_a_leap_cycle(expression: str) -> None:
    year = [at for at in _minutes() if at.year == 2024 and _CRONS[expression](at)]
    days = 1461 if "29 2" in expression else 366
    assert CronGrid(expression).per_day == pytest.approx(len(year) / days, rel=0.03)


def test_the_grid_of_a_leap_day_looks_back_over_years() -> None:
    grid = CronGrid("0 0 29 2 *")
    assert grid.slot(datetime(2103, 3, 1, tzinfo=UTC)) == datetime(2096, 2, 29, tzinfo=UTC)
    assert grid.after(datetime(2097, 1, 1, tzinfo=UTC)) == datetime(2104, 2, 29, tzinfo=UTC)


def test_a_date_that_never_comes_is_said_so() -> None:
    with pytest.raises(ValueError, match=r"'0 0 30 2 \*' has no slot"):
        CronGrid("0 0 30 2 *")


def test_a_probe_s_grid_follows_its_config() -> None:
    often = Probe(endpoint="bot", eval_sets=["basics"], every="15m")
    nightly = Probe(endpoint="bot", eval_sets=["basics"], cron="0 3 * * *")
    assert grid_of(often, "bot", "quality") == every_grid(timedelta(minutes=15), "bot", "quality")
    assert grid_of(nightly, "bot", "quality") == CronGrid("0 3 * * *")


def test_the_trigger_fires_at_each_slot() -> None:
    grid = EveryGrid(timedelta(minutes=15), timedelta(minutes=2))
    trigger = _GridTrigger(grid)
    first = trigger.get_next_fire_time(None, START)
    assert first == grid.after(START)
    assert trigger.get_next_fire_time(first, first) == first + grid.every
    assert trigger.get_next_fire_time(first, first + _MINUTE) == first + grid.every


def test_slots_that_were_slept_through_fire_once() -> None:
    grid = EveryGrid(timedelta(minutes=15), timedelta(0))
    late = START + timedelta(hours=5, minutes=1)
    assert _GridTrigger(grid).get_next_fire_time(START, late) == START + timedelta(hours=5, minutes=15)


def test_a_clock_that_goes_back_does_not_fire_a_slot_twice() -> None:
    grid = EveryGrid(timedelta(minutes=15), timedelta(0))
    assert _GridTrigger(grid).get_next_fire_time(START, START - timedelta(hours=1)) == START + grid.every


async def test_the_scheduler_wakes_whoever_is_due_until_it_is_told_otherwise() -> None:
    woken: list[tuple[str, str]] = []
    news = asyncio.Event()

    async def wake(key: tuple[str, str]) -> None:
        woken.append(key)
        news.set()

    async def hear(times: int) -> None:
        woken.clear()
        while len(woken) < times:
            news.clear()
            await news.wait()

    schedule = Schedule(wake)
    schedule.start()
    often, never = EveryGrid(timedelta(milliseconds=20), timedelta(0)), CronGrid("0 0 29 2 *")
    schedule.set({("bot", "a"): often, ("bot", "b"): never})
    assert schedule.running
    await hear(2)
    assert set(woken) == {("bot", "a")}
    schedule.set({("bot", "a"): never, ("bot", "b"): often})
    await asyncio.sleep(0)
    await hear(2)
    assert set(woken[1:]) == {("bot", "b")}
    schedule.set({})
    schedule.stop()
    schedule.stop()


async def test_a_reload_does_not_skip_a_slot_that_is_due_just_now() -> None:
    async def wake(key: tuple[str, str]) -> None:
        raise AssertionError(key)

    def grids(every: int, cron: str) -> dict[tuple[str, str], Grid]:
        hours = EveryGrid(timedelta(hours=every), timedelta(0))
        return {("bot", "a"): hours, ("bot", "b"): CronGrid(cron)}

    def next_times() -> set[datetime]:
        return {job.next_run_time for job in schedule._scheduler.get_jobs()}

    schedule = Schedule(wake)
    schedule.start()
    schedule.set(grids(1, "0 0 * * *"))
    due = datetime.now(UTC) + timedelta(seconds=90)  # what a job made anew would not choose
    for job in schedule._scheduler.get_jobs():
        job.modify(next_run_time=due)
    schedule.set(grids(1, "0 0 * * *"))
    assert next_times() == {due}
    schedule.set(grids(2, "5 0 * * *"))
    assert due not in next_times()
    schedule.stop()
