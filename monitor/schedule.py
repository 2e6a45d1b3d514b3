"""Wakes us when a slot is due. The only file that knows APScheduler, which keeps nothing and decides nothing."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from monitor.config.model import Probe
from monitor.grid import Grid, every_grid

_LONGEST = timedelta(days=366 * 9)  # from one leap day to the next around 2100
_LEAP_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
_LEAP_CYCLE = timedelta(days=1461)


@dataclass(frozen=True)
class CronGrid:
    """Slots of a cron expression, in UTC.

    Raises:
        ValueError: It has no slot at all, like the 30th of February.
    """

    expression: str

    def __post_init__(self) -> None:
        self._first_from(_LEAP_YEAR)

    def slot(self, now: datetime) -> datetime:
        """The newest slot that is not after `now`; looks back in steps that double."""
        back = timedelta(minutes=1)
        while back < _LONGEST:
            found = self._first_from(now - back)
            if found <= now:
                return self._last_until(found, now)
            back *= 2
        raise ValueError(f"the cron expression {self.expression!r} has no slot in nine years")

    def after(self, slot: datetime) -> datetime:
        """The slot that follows."""
        return self._first_from(slot + timedelta(microseconds=1))

    @property
    def per_day(self) -> float:
        """Slots a day, on average over a leap cycle."""
        return _slots_per_day(self.expression)

    def _first_from(self, at: datetime) -> datetime:
        found: datetime | None = _trigger(self.expression).get_next_fire_time(None, at)
        if found is None:
            raise ValueError(f"the cron expression {self.expression!r} has no slot")
        return found

    def _last_until(self, slot: datetime, now: datetime) -> datetime:
        while (following := self.after(slot)) <= now:
            slot = following
        return slot


@cache
def _trigger(expression: str) -> Any:
    return CronTrigger.from_crontab(expression, timezone=UTC)


@cache
def _slots_per_day(expression: str) -> float:
    """Slots of one day, which are those of any day that has slots, times the share of such days."""
    grid = CronGrid(expression)
    at = grid._first_from(_LEAP_YEAR)
    day, count = at.date(), 0
    while at.date() == day:
        at, count = grid.after(at), count + 1
    days = CronGrid("0 0 " + " ".join(expression.split()[2:]))
    end = _LEAP_YEAR + _LEAP_CYCLE
    at, matching = days._first_from(_LEAP_YEAR), 0
    while at < end:
        at, matching = days.after(at), matching + 1
    return count * matching / _LEAP_CYCLE.days


def grid_of(probe: Probe, endpoint: str, name: str) -> Grid:
    """The grid of a probe on an endpoint."""
    if probe.cron is not None:
        return CronGrid(probe.cron)
    assert probe.every is not None  # noqa: S101 - the config holds exactly one of the two
    return every_grid(probe.every, endpoint, name)


class _GridTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """Fires at each slot; what was missed while we slept fires once."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        return self.grid.after(now if previous is None else max(previous, self.grid.slot(now)))


class Schedule:
    """Calls `wake(key)` at each slot of each key."""

    def __init__(self, wake: Callable[[tuple[str, str]], Awaitable[None]]) -> None:
        self._wake = wake
        self._scheduler: Any = AsyncIOScheduler(
            timezone=UTC,
            executors={"default": AsyncIOExecutor()},
            # The defaults skip a run silently after one second of delay; lateness is ours to judge.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def start(self) -> None:
        """Begins to wake."""
        self._scheduler.start()

    def set(self, grids: dict[tuple[str, str], Grid]) -> None:
        """Makes the schedule exactly this: new keys enter, missing ones leave, changed grids move.

        A job whose grid is the same is not touched: made anew it would begin after a slot that is due just now.
        """
        wanted = {"/".join(key): (key, grid) for key, grid in grids.items()}
        for job in self._scheduler.get_jobs():
            if job.id not in wanted:
                job.remove()
            elif job.trigger.grid == wanted[job.id][1]:
                del wanted[job.id]
        for id, (key, grid) in wanted.items():
            self._scheduler.add_job(self._wake, _GridTrigger(grid), args=(key,), id=id, replace_existing=True)

    @property
    def running(self) -> bool:
        """Whether it wakes anybody."""
        return bool(self._scheduler.running)

    def stop(self) -> None:
        """Wakes nobody any more; work under way is not its business."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
