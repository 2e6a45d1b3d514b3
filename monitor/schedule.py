"""Wakes us when a slot is due. The only file that knows APScheduler, which keeps nothing and decides nothing."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from monitor.config.model import Probe
from monitor.grid import Grid, every_grid

_LONGEST = timedelta(days=366 * 5)


class CronGrid:
    """Slots of a cron expression, in UTC."""

    def __init__(self, expression: str) -> None:
        self._cron = CronTrigger.from_crontab(expression, timezone=UTC)

    def slot(self, now: datetime) -> datetime:
        """The newest slot that is not after `now`; looks back in steps that double."""
        back = timedelta(minutes=1)
        while back < _LONGEST:
            found = self._first_from(now - back)
            if found <= now:
                return self._last_until(found, now)
            back *= 2
        raise ValueError("the cron expression has no slot in five years")

    def after(self, slot: datetime) -> datetime:
        """The slot that follows."""
        return self._first_from(slot + timedelta(microseconds=1))

    @property
    def per_day(self) -> float:
        """Slots a day, over the days of one leap cycle's worth of weeks (a year is near enough)."""
        start = at = self._first_from(datetime(2024, 1, 1, tzinfo=UTC))
        count = 0
        while count < 1000 and at - start < timedelta(days=366):
            at, count = self.after(at), count + 1
        return count / ((at - start) / timedelta(days=1))

    def _first_from(self, at: datetime) -> datetime:
        found: datetime = self._cron.get_next_fire_time(None, at)
        return found

    def _last_until(self, slot: datetime, now: datetime) -> datetime:
        while (following := self.after(slot)) <= now:
            slot = following
        return slot


def grid_of(probe: Probe, endpoint: str, name: str) -> Grid:
    """The grid of a probe on an endpoint."""
    if probe.cron is not None:
        return CronGrid(probe.cron)
    assert probe.every is not None  # noqa: S101 - the config holds exactly one of the two
    return every_grid(probe.every, endpoint, name)


class _GridTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """Fires at each slot; what was missed while we slept fires once."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        return self._grid.after(now if previous is None else max(previous, self._grid.slot(now)))


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
        """Makes the schedule exactly this: new keys enter, missing ones leave, changed grids move."""
        wanted = {"/".join(key): (key, grid) for key, grid in grids.items()}
        for job in self._scheduler.get_jobs():
            if job.id not in wanted:
                job.remove()
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
