"""The evidence of a visit, looked up.

Counts are small whole numbers, so that a round seldom brings a visit that its pool has not met before. Each entry is
a function of its key and of the pool's law alone, to the last digit: sums go over one entry's own row, never
through a matrix product, whose order of addition depends on how many entries are missing at once.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import log
from typing import NamedTuple, TypeVar

import numpy as np

from monitor.drift.grid import LOG_FAIL, LOGITS, Array
from monitor.drift.laws import NULL, Laws, at_stake, laws_of, log_bets

#: Entries that are kept of one pool, and pools; what is over is forgotten and computed again.
ENTRIES_HELD, POOLS_HELD = 512, 128

Key = TypeVar("Key")
Entry = TypeVar("Entry")

#: k passes in n runs before the visit, s passes in its m replies.
Visited = tuple[float, int, float, int]

#: k, n, the first reply, and s and m of the whole visit, that reply included.
Revisited = tuple[float, int, int, float, int]

#: Sums of a visit, in one row so that rows add up to those of a round: two of differences, then those of l.
Row = tuple[float, ...]
BETS = 2


class First(NamedTuple):
    """What a visit says at once.

    Attributes:
        row: The difference of the replies' sum from its expectation, the sum of squares, and l of each alternative.
        expected: How likely one reply of the case was to pass.
        likely: How likely a reply as the first was.
    """

    row: Row
    expected: float
    likely: float


class Later(NamedTuple):
    """What a visit says with its re-asks, before the repeat rate is known.

    Attributes:
        whole: Its probability f under each law.
        first: f_1, of its first reply alone.
        bets: l(first) of each alternative.
        stakes: 1 where there is something at stake in an alternative, else 0.
        equal: Whether all replies are equal.
        if_equal: How likely that was, given the first.
        row: Two zeros, and l(visit) - l(first) of each alternative where replies differ: the repeat rate drops out.
    """

    whole: Sequence[float]
    first: Sequence[float]
    bets: Sequence[float]
    stakes: Sequence[float]
    equal: bool
    if_equal: float
    row: Row


class Lookup:
    """The entries of one pool.

    Attributes:
        laws: Those of the pool.
    """

    def __init__(self, laws: Laws) -> None:
        self.laws = laws
        self._turned = np.ascontiguousarray(laws.passes.T)
        self._first: dict[Visited, First] = {}
        self._later: dict[Revisited, Later] = {}

    def first(self, keys: Sequence[Visited]) -> list[First]:
        """What visits say at once."""
        held = self._first
        try:
            return [held[key] for key in keys]
        except KeyError:
            self._first = held = _with_room(held)
            missing = [key for key in dict.fromkeys(keys) if key not in held]
            held.update(zip(missing, _first(self.laws, self._turned, missing), strict=True))
            return [held[key] for key in keys]

    def later(self, keys: Sequence[Revisited]) -> list[Later]:
        """What visits say with their re-asks."""
        self._later = held = _with_room(self._later)
        for key in keys:
            if key not in held:
                held[key] = _later(self.laws, *key)
        return [held[key] for key in keys]


@lru_cache(maxsize=POOLS_HELD)
def lookup_of(prior: tuple[float, ...]) -> Lookup:
    """The entries of the pool with these weights and shifts; see `laws_of`."""
    return Lookup(laws_of(prior))


def with_repeats(later: Later, rho: float) -> Row:
    """The visit's row with replies that repeat for reasons of their own: (1 - rho) f + rho f_1 [all replies equal].

    A wrong answer may come back from a cache or a replica, in the null and the alternatives alike.

    Args:
        later: The visit.
        rho: How likely replies are to repeat, 0..1.
    """
    if not later.equal:
        return later.row
    logs = [
        log((1.0 - rho) * whole + rho * first) for whole, first in zip(later.whole, later.first, strict=True)
    ]
    null = logs[NULL]
    bets = zip(logs[NULL + 1 :], later.bets, later.stakes, strict=True)
    return (0.0, 0.0, *[stake * (one - null - first) for one, first, stake in bets])


def _first(laws: Laws, turned: Array, keys: Sequence[Visited]) -> list[First]:
    table = np.array(keys, dtype=np.float64)
    hits, replies = table[:, 2], table[:, 3]
    grid = table[:, :1] * LOGITS + table[:, 1:2] * LOG_FAIL + laws.log_weights
    held = np.exp(grid - grid.max(axis=-1, keepdims=True))
    passes = (held[:, None, :] * turned).sum(axis=-1) / held.sum(axis=-1, keepdims=True)
    found = np.where(hits[:, None] > 0.0, passes, 1.0 - passes)
    for n in np.flatnonzero(replies > 1.0):
        found[n] = laws.visits(table[n : n + 1, :2], hits[n : n + 1], replies[n : n + 1])[0]
    p = passes[:, NULL]
    bets = at_stake(log_bets(found), p)
    square = hits - 2.0 * hits * p + replies * p * p
    rows = np.column_stack((hits - replies * p, square, bets)).tolist()
    likely = np.where(hits > 0.0, p, 1.0 - p).tolist()
    return [First(tuple(row), *each) for row, *each in zip(rows, p.tolist(), likely, strict=True)]


def _later(laws: Laws, passed: float, runs: int, first: int, hits: float, replies: int) -> Later:
    counts, asked = np.array([(passed, runs)], dtype=np.float64), np.array([replies])
    passes = laws.single(counts)
    once = passes if first else 1.0 - passes
    whole = laws.visits(counts, np.array([float(hits)]), asked)
    as_first = laws.visits(counts, first * asked, asked)
    expected, bets = passes[:, NULL], log_bets(once)
    return Later(
        whole=whole[0].tolist(),
        first=once[0].tolist(),
        bets=bets[0].tolist(),
        stakes=at_stake(np.ones_like(bets), expected)[0].tolist(),
        equal=hits == first * replies,
        if_equal=float(as_first[0, NULL] / once[0, NULL]),
        row=_row(0.0, 0.0, log_bets(whole) - bets, expected),
    )


def _row(difference: float, square: float, bets: Array, expected: Array) -> Row:
    return (difference, square, *at_stake(bets, expected)[0].tolist())


def _with_room(held: dict[Key, Entry]) -> dict[Key, Entry]:
    """The entries, or none where there are too many: another thread may still read those."""
    return held if len(held) < ENTRIES_HELD else {}
