"""Identifiers: public ones are UUIDv7 with a prefix, result rows are 63-bit integers in time order."""

import random
from datetime import datetime
from uuid import UUID


def new_id(prefix: str, now: datetime, rng: random.Random) -> str:
    """A public identifier such as `inc_0197…` (RFC 9562, section 5.7), ordered by `now`."""
    millis = int(now.timestamp() * 1000)
    value = (millis & (2**48 - 1)) << 80 | 0x7 << 76 | rng.getrandbits(12) << 64
    value |= 0b10 << 62 | rng.getrandbits(62)
    return f"{prefix}_{UUID(int=value)}"


class RowIds:
    """Row ids of one process: strictly rising, 51 bits of microseconds and 12 that tell processes apart."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._last = 0

    def take(self, now: datetime) -> int:
        """The next id; `now` standing still or going back does no harm."""
        micros = int(now.timestamp() * 1_000_000)
        self._last = max(micros << 12 | self._rng.getrandbits(12), self._last + 1)
        return self._last
