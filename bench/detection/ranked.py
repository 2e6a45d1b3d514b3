"""Latency streams in blocks of rounds: what `RankBets` makes of them, without its state.

A case's level holds once it is captured, and the reference holds from 2,000 residuals on; from then on a reply's bets
depend on nothing but its rank and the load that is known. So whole blocks of rounds are ranked at once, with the
product's own levels, cells, bets and load. A test holds the evidence against that of `RankBets.update`.
"""

import copy
import math
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from bench.detection import pools
from bench.detection.optimum import Array
from bench.detection.runner import name
from monitor.drift.bets import LAWS, TABULATED, Cell, log_bets
from monitor.drift.detector import Reference
from monitor.drift.evidence import CEILING
from monitor.drift.gathering import Indices
from monitor.drift.levels import DIGITS, Levels
from monitor.drift.load import Load
from monitor.drift.ranks import RESIDUALS_NEEDED, RankBets, given, overshoot
from monitor.drift.replay import RESIDUALS_HELD

_NORMAL = NormalDist()


@dataclass(frozen=True, kw_only=True)
class Law:
    """How replies are made; the meaning is that of `worlds.Latency`."""

    sd: float = pools.REPLY_SD
    tails: str = "normal"
    load: float = 0.0
    memory: float = 0.8
    slower: float = 1.0
    slow_share: float = 0.0


@dataclass(kw_only=True)
class Replies:
    """One endpoint: log latency around the level of each case."""

    rng: np.random.Generator
    levels: Array
    law: Law
    now: float = 0.0

    def logs(self, cases: Indices) -> Array:
        """Log latencies of rounds; `cases` has shape (rounds, replies)."""
        law, shape = self.law, cases.shape
        noise = self.rng.standard_normal(shape)
        if law.tails == "t3":
            noise /= np.sqrt(self.rng.chisquare(3.0, shape))  # over its sd, sqrt(3)
        found = self.levels[cases] + law.sd * noise + math.log(law.slower)
        if law.slow_share:
            found += np.where(self.rng.random(shape) < law.slow_share, math.log(3.0), 0.0)
        if law.load:
            found += self._loads(len(cases))[:, None]
        return np.asarray(found)

    def _loads(self, rounds: int) -> Array:
        fresh = self.law.load * math.sqrt(1.0 - self.law.memory**2)
        loads = []
        for shock in (fresh * self.rng.standard_normal(rounds)).tolist():
            self.now = self.law.memory * self.now + shock
            loads.append(self.now)
        return np.array(loads)


@dataclass(kw_only=True)
class Ranked:
    """One stream.

    Attributes:
        replies: What the endpoint replies.
        panel: Cases a round.
        expected: The value expected of each case's reply, log.
        spread: And its standard deviation.
        held: Residuals in control, ascending.
        overshoot: By how much its mixture overshoots a threshold, in nats.
        turn: The first case of the next round.
        judged: Rounds judged while the reference grew.
        load: What is known of the load that rounds share.
    """

    replies: Replies
    panel: int
    expected: Array
    spread: Array
    held: Array
    overshoot: float
    turn: int = 0
    judged: int = 0
    load: Load = field(default_factory=Load)

    def fork(self, law: Law) -> "Ranked":
        """The same stream from here on under another law."""
        twin = copy.deepcopy(self)
        twin.replies.law = law
        return twin

    def bets(self, rounds: int) -> Array:
        """The sums of l of the next rounds; not a number where nothing was judged. Shape (rounds, laws)."""
        size = len(self.replies.levels)
        cases = (self.turn + np.arange(rounds * self.panel).reshape(rounds, -1)) % size
        self.turn = (self.turn + rounds * self.panel) % size
        logs = self.replies.logs(cases)
        residuals = np.round((logs - self.expected[cases]) / self.spread[cases], DIGITS)
        found = np.full((rounds, len(LAWS)), np.nan)
        number = 0
        while number < rounds and len(self.held) < RESIDUALS_HELD:
            row = self._growing(residuals[number][np.argsort(cases[number])])
            found[number] = self._tempered(row)
            number += 1
        for row in self._full(residuals[number:]) if number < rounds else ():
            found[number] = self._tempered(row)
            number += 1
        return found

    def _tempered(self, row: Array) -> Array:
        """A round's bets times what the load leaves of them; then the load learns from its score, the last entry."""
        temper = self.load.temper
        if not math.isnan(row[-1]):
            self.load = self.load.after(float(row[-1]) / math.sqrt(self.panel))
        return row[:-1] * temper

    def _growing(self, residuals: Array) -> Array:
        held = self.held
        reference = Reference(residuals=held)  # type: ignore[arg-type]  # only their number counts
        new = given(reference, residuals.tolist(), self.judged, self.load.temper)
        self.held = np.sort(np.concatenate((held, new)))
        if len(held) < RESIDUALS_NEEDED:
            return np.full(len(LAWS) + 1, math.nan)
        self.judged += 1
        low = np.searchsorted(held, residuals, "left").tolist()
        high = (np.searchsorted(held, residuals, "right") + 1).tolist()
        each = [_ranked(Cell(*cell, len(held))) for cell in zip(low, high, strict=True)]
        return np.asarray(np.array(each).sum(axis=0))

    def _full(self, residuals: Array) -> Array:
        low = np.searchsorted(self.held, residuals, "left")
        high = np.searchsorted(self.held, residuals, "right") + 1
        found = _table()[low]
        for number, reply in zip(*np.nonzero(high > low + 1), strict=True):  # ties
            found[number, reply] = _ranked(Cell(int(low[number, reply]), int(high[number, reply]), TABULATED))
        return np.asarray(found.sum(axis=1))


def captured(rng: np.random.Generator, law: Law, *, size: int, runs: int) -> Ranked:
    """A stream whose capture is done, by the product's own fit."""
    replies = Replies(rng=rng, levels=rng.normal(0.0, pools.CASE_SD, size), law=law)
    logs = replies.logs(np.tile(np.arange(size), (runs, 1)))
    fitted = RankBets().fit({name(case): np.exp(logs[:, case]).tolist() for case in range(size)})
    levels = Levels.load(fitted.prior)
    known = [levels.next(fitted.cases[name(case)]) for case in range(size)]
    expected, spread = np.array(known).T
    return Ranked(
        replies=replies,
        panel=min(pools.PANEL, size),
        expected=expected,
        spread=spread,
        held=np.sort(np.array(fitted.residuals)),
        overshoot=overshoot(fitted.prior),
    )


def rolled(bets: Array, sums: Array) -> tuple[Array, Array]:
    """Statistics of Shiryaev-Roberts mixtures, shape (rounds, streams), and their last sums.

    Args:
        bets: Sums of l; shape (rounds, streams, laws).
        sums: Those before; shape (streams, laws).
    """
    found = np.empty(bets.shape[:2])
    for number, factors in enumerate(np.exp(bets)):
        judged = ~np.isnan(factors)
        sums = np.where(judged, np.minimum((1.0 + sums) * factors, CEILING), sums)
        found[number] = np.log(np.maximum(1.0, sums.mean(axis=1)))
    return found, sums


@lru_cache(maxsize=200_000)
def _ranked(cell: Cell) -> tuple[float, ...]:
    """The bets on a rank, and last its normal score."""
    return (*log_bets(cell), _NORMAL.inv_cdf(cell.middle))


@lru_cache(maxsize=1)
def _table() -> Array:
    """The bets and the score of each cell of a full reference without ties; shape (cells, laws + 1)."""
    return np.array([_ranked(Cell(low, low + 1, TABULATED)) for low in range(TABULATED + 1)])
