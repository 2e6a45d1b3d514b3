"""Bets on ranks: what a reply's rank among those in control says for laws of ranks after a change."""

import math
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

_NORMAL = NormalDist()

#: References kept in order; 16 KiB each.
SORTED_HELD = 256

#: Places among ties that are remembered with their bets, so that measures of few values are as cheap as others.
TIES_HELD = 8_192

#: Size of reference for which the laws are tabulated once and for all: the one that streams stay with.
TABULATED = 2_000


class Cell(NamedTuple):
    """Where a reply's rank lies: between these two of `size + 1` equal parts of 0..1."""

    low: int
    high: int
    size: int

    @property
    def mirrored(self) -> "Cell":
        """The rank counted from the top."""
        return Cell(self.size + 1 - self.high, self.size + 1 - self.low, self.size)

    @property
    def middle(self) -> float:
        """The rank's expectation, 0..1 exclusive."""
        return (self.low + self.high) / (2.0 * (self.size + 1))


def cell_of(residual: float, held: Sequence[float]) -> Cell:
    """The rank of a residual among those held.

    Where it equals some of them, any place among them is as likely as any other, and the cell spans them all.

    Args:
        residual: Of the reply.
        held: Those in control, ascending.
    """
    low = bisect_left(held, residual)
    tied = low < len(held) and held[low] == residual
    return Cell(low, (bisect_right(held, residual, low) if tied else low) + 1, len(held))


class Rank(NamedTuple):
    """What a reply's rank says.

    Attributes:
        score: The normal score of the rank.
        up: The log of each law's bet on it, in nats.
        down: The same counted from the top.
    """

    score: float
    up: tuple[float, ...]
    down: tuple[float, ...]


def ranks_of(residuals: Sequence[float], held: Sequence[float]) -> list[Rank]:
    """What the ranks of these residuals among those held say; looked up where the reference is full."""
    if len(held) != TABULATED:
        return [
            Rank(_NORMAL.inv_cdf(cell.middle), log_bets(cell), log_bets(cell.mirrored))
            for cell in (cell_of(residual, held) for residual in residuals)
        ]
    single, found = _single(), []
    for residual in residuals:
        low = bisect_left(held, residual)
        tied = low < TABULATED and held[low] == residual
        found.append(_tied(cell_of(residual, held)) if tied else single[low])
    return found


class Ascending(NamedTuple):
    """Residuals in ascending order, and their mean."""

    values: Sequence[float]
    mean: float


_held: OrderedDict[int, tuple[Sequence[float], Ascending]] = OrderedDict()


def ascending(residuals: Sequence[float]) -> Ascending:
    """The residuals in order; those of a stream's full reference are sorted once and not every round.

    Known by identity, because comparing or hashing two thousand numbers takes as long as sorting them.
    """
    known = _held.get(id(residuals))
    if known and known[0] is residuals:
        return known[1]
    ordered = sorted(residuals)
    found = Ascending(ordered, math.fsum(ordered) / len(ordered) if ordered else 0.0)
    if isinstance(residuals, tuple):
        _held[id(residuals)] = (residuals, found)
        if len(_held) > SORTED_HELD:
            _held.popitem(last=False)
    return found


#: A law of ranks: the distribution function of u = Phi(z), told z. In control it is Phi(z) itself.
Law = Callable[[float], float]


def shift(by: float) -> Law:
    """Normal scores move up by this many standard deviations."""
    return lambda z: _phi(z - by)


def tail(share: float, by: float) -> Law:
    """This share of replies moves up by so many standard deviations, the others stay."""
    return lambda z: (1.0 - share) * _phi(z) + share * _phi(z - by)


def spread(times: float) -> Law:
    """The upper half of the normal scores is spread so many times as wide; the lower half stays."""
    return lambda z: _phi(z) if z <= 0.0 else _phi(z / times)


#: What latency does when it gets worse: all replies are somewhat slower, or clearly slower; one in twelve is
#: much slower; or they vary more. Four laws weighted alike; a fifth would cost each of them ln(5/4) nats.
LAWS: tuple[Law, ...] = (shift(0.4), shift(0.9), tail(0.08, 2.8), spread(1.7))


def log_bets(cell: Cell) -> tuple[float, ...]:
    """The log of each law's bet on a rank in this cell, in nats.

    The bet is the cell's probability under the law over that in control. Its mean in control is exactly 1 for
    any size of reference and any ties, and it draws nothing: it is the mean over all ways to break the ties.
    """
    low, high, size = cell
    if size == TABULATED:
        return _single()[low].up if high - low == 1 else _tied(cell).up
    parts = cell.size + 1
    return _log_bets(_at(_quantile(cell.low, parts)), _at(_quantile(cell.high, parts)), cell)


def _log_bets(low: Sequence[float], high: Sequence[float], cell: Cell) -> tuple[float, ...]:
    parts = (cell.size + 1) / (cell.high - cell.low)
    return tuple([math.log((above - below) * parts) for below, above in zip(low, high, strict=True)])


def _at(z: float) -> tuple[float, ...]:
    """Each law's distribution function."""
    return tuple([law(z) for law in LAWS])


@lru_cache(maxsize=1)
def _edges() -> tuple[tuple[float, ...], ...]:
    """The distribution functions at the edges of the parts of a full reference."""
    return tuple(_at(_quantile(edge, TABULATED + 1)) for edge in range(TABULATED + 2))


@lru_cache(maxsize=1)
def _single() -> tuple[Rank, ...]:
    """Each part of a full reference: the ranks of replies that equal none that is held."""
    return tuple(_full(Cell(low, low + 1, TABULATED)) for low in range(TABULATED + 1))


@lru_cache(maxsize=TIES_HELD)
def _tied(cell: Cell) -> Rank:
    """The rank of a reply that equals some of a full reference."""
    return _full(cell)


def _full(cell: Cell) -> Rank:
    edges = _edges()
    (low, high, _), (turned_low, turned_high, _) = cell, cell.mirrored
    return Rank(
        score=_NORMAL.inv_cdf(cell.middle),
        up=_log_bets(edges[low], edges[high], cell),
        down=_log_bets(edges[turned_low], edges[turned_high], cell),
    )


def _quantile(edge: int, parts: int) -> float:
    if edge <= 0:
        return -math.inf
    return math.inf if edge >= parts else _NORMAL.inv_cdf(edge / parts)


def _phi(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
