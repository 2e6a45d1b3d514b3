"""Slots are a pure function of the interval, the names and the time."""

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from monitor.grid import EveryGrid, every_grid, slot_rng

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_every = st.integers(1_000, 31 * 86_400_000).map(lambda millis: timedelta(milliseconds=millis))
_now = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds it
_name = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)


@given(_every, _name, _name, _now)
def test_the_slot_is_the_newest_that_is_not_after_now(
    every: timedelta, endpoint: str, probe: str, now: datetime
) -> None:
    grid = every_grid(every, endpoint, probe)
    slot = grid.slot(now)
    assert slot <= now < slot + every
    assert grid.slot(slot) == slot
    assert grid.slot(slot + every - timedelta(microseconds=1)) == slot
    assert grid.after(slot) == grid.after(now) == slot + every
    assert grid.slot(grid.after(slot)) == grid.after(slot)


@given(_every, _name, _name, _now)
def test_slots_are_counted_from_the_epoch_and_the_phase_lies_inside_the_interval(
    every: timedelta, endpoint: str, probe: str, now: datetime
) -> None:
    grid = every_grid(every, endpoint, probe)
    assert timedelta(0) <= grid.phase < every
    assert (grid.slot(now) - _EPOCH) % every == grid.phase


@given(_now, _name)
def test_a_zone_and_its_daylight_saving_change_no_slot(now: datetime, probe: str) -> None:
    grid = every_grid(timedelta(hours=1), "bot", probe)
    for zone in ("Europe/Berlin", "America/St_Johns", "Pacific/Auckland"):
        assert grid.slot(now.astimezone(ZoneInfo(zone))) == grid.slot(now)


def test_an_hour_that_is_skipped_or_repeated_elsewhere_is_an_hour_like_any_other() -> None:
    grid = every_grid(timedelta(hours=1), "bot", "quality")
    for day in (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)):
        slots = {grid.slot(day + timedelta(minutes=n)) for n in range(60, 25 * 60)}
        assert len(slots) in (24, 25)
        assert len({b - a for a, b in zip(sorted(slots), sorted(slots)[1:], strict=False)}) == 1


def test_every_replica_has_the_same_grid_and_the_same_chance() -> None:
    code = (
        "from datetime import *; from monitor.grid import *;"
        "g = every_grid(timedelta(minutes=15), 'bot', 'quality'); s = g.slot(datetime(2026, 3, 2, 12, tzinfo=UTC));"
        "print(g.phase, s, slot_rng('bot', 'quality', s).random())"
    )
    grid = every_grid(timedelta(minutes=15), "bot", "quality")
    slot = grid.slot(datetime(2026, 3, 2, 12, tzinfo=UTC))
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == f"{grid.phase} {slot} {slot_rng('bot', 'quality', slot).random()}"
    assert str(grid.phase) == "0:11:34.848000"  # for ever: a release that moved it would move every slot


def test_phases_spread_probes_over_the_interval() -> None:
    every = timedelta(minutes=10)
    tenths = Counter(every_grid(every, f"bot-{n}", "quality").phase * 10 // every for n in range(1_000))
    assert len(tenths) == 10
    assert all(60 < count < 140 for count in tenths.values())


def test_the_names_are_kept_apart() -> None:
    minute = timedelta(days=30)
    assert every_grid(minute, "a", "bc") != every_grid(minute, "ab", "c")


def test_slots_a_day_follow_from_the_interval() -> None:
    assert EveryGrid(timedelta(minutes=15), timedelta(0)).per_day == 96
    assert EveryGrid(timedelta(days=31), timedelta(0)).per_day == 1 / 31


@given(_now)
def test_each_slot_has_its_own_chance_whatever_zone_it_is_written_in(now: datetime) -> None:
    draws = {slot_rng("bot", probe, now + timedelta(minutes=n)).random() for probe in "ab" for n in range(3)}
    assert len(draws) == 6
    assert slot_rng("bot", "a", now).random() == slot_rng("bot", "a", now).random()
