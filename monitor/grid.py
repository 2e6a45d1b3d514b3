"""Slots: the points of time at which a probe is due, the same on every replica.

A slot is a pure function of (every, hash(endpoint, probe), now) on a grid that counts from 1970, so
nobody has to agree on anything, and a restart does not move it.
"""

import hashlib
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


class Grid(Protocol):
    """When a probe is due."""

    def slot(self, now: datetime) -> datetime:
        """The newest slot that is not after `now`."""
        ...

    def after(self, slot: datetime) -> datetime:
        """The slot that follows."""
        ...

    @property
    def per_day(self) -> float:
        """Slots a day, on average."""
        ...


@dataclass(frozen=True, slots=True)
class EveryGrid:
    """A slot every so often; the phase spreads probes over the interval so that they do not all start at once."""

    every: timedelta
    phase: timedelta

    def slot(self, now: datetime) -> datetime:
        """The newest slot that is not after `now`."""
        return _EPOCH + self.phase + (now - _EPOCH - self.phase) // self.every * self.every

    def after(self, slot: datetime) -> datetime:
        """The slot that follows."""
        return self.slot(slot) + self.every

    @property
    def per_day(self) -> float:
        """Slots a day."""
        return _DAY / self.every


def every_grid(every: timedelta, endpoint: str, probe: str) -> EveryGrid:
    """The grid of one (endpoint, probe); its phase is a whole number of milliseconds."""
    millis = every // timedelta(milliseconds=1)
    digest = hashlib.sha256(f"{endpoint}\0{probe}".encode()).digest()
    return EveryGrid(every, timedelta(milliseconds=int.from_bytes(digest[:8], "big") % millis))


def slot_rng(endpoint: str, probe: str, slot: datetime) -> random.Random:
    """The randomness of one slot: a replay, or another replica, draws the same."""
    return random.Random(f"{endpoint}\0{probe}\0{slot.isoformat()}")  # noqa: S311 - not for secrets
