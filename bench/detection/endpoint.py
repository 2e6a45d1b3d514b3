"""One endpoint with many streams and one budget: Gaussian stand-ins, whose dependence can be set.

Each stand-in has one normal score a round, and a Shiryaev-Roberts sum that bets on its shift. All streams share a
factor of the hour, so that their scores are correlated wherever their rounds meet. The weighted statistic A alarms once
for the endpoint; plain division gives each stream a threshold of its own.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.detection import arl
from bench.detection.arl import Measured
from bench.detection.effort import Effort
from bench.detection.line import Line, at_most
from bench.detection.optimum import Array
from bench.detection.trial import Workers
from monitor.drift.evidence import OVERSHOOT
from monitor.drift.together import Stream, shares

#: Hours between false incidents that the budget allows the endpoint.
BUDGET = 2000.0

CORRELATIONS = (0.0, 0.6, 0.9)
MOVED = 5


Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The streams: hours between their rounds, and the shift of their scores that is bet on."""

    every: Array
    shift: Array

    def shares(self) -> Array:
        """How the product divides the endpoint's budget."""
        streams = {
            str(n): Stream(endpoint="one", rounds_per_day=24.0 / every, information=shift * shift / 2.0)
            for n, (every, shift) in enumerate(zip(self.every.tolist(), self.shift.tolist(), strict=True))
        }
        return np.array(list(shares(streams).values()))

    def equal(self) -> Array:
        """Equal shares."""
        return np.full(len(self.every), 1.0 / len(self.every))


#: Twenty streams of one kind; and of mixed cadence (hourly, six-hourly, daily) and strength.
ALIKE = Plan(every=np.ones(20), shift=np.full(20, 0.86))
MIXED = Plan(every=np.array([1.0] * 10 + [6.0] * 6 + [24.0] * 4), shift=np.array([0.6, 0.86, 1.2, 0.86] * 5))


@dataclass(frozen=True, kw_only=True)
class Watched:
    """The statistics of many copies of the endpoint; both reach 0 where an alarm is due. Shape (hours, copies)."""

    weighted: Array
    divided: Array


def watched(
    plan: Plan,
    held: Array,
    hours: int,
    correlation: float,
    seed: int,
    *,
    copies: int = 0,
    moved: Bools | None = None,
    quiet: int = 0,
) -> Watched:
    """Simulates copies of the endpoint.

    Args:
        plan: Its streams.
        held: Their shares in the weighted statistic.
        hours: How long.
        correlation: Between the scores of streams that are asked in the same hour.
        seed: Of all chance.
        copies: How many, where nothing moves.
        moved: Which streams move after `quiet` hours; shape (copies, streams). None for none.
        quiet: Hours before that.
    """
    rng, count = np.random.default_rng(seed), len(plan.every)
    sums = np.zeros((copies if moved is None else len(moved), count))
    runs, shift = BUDGET / plan.every, plan.shift
    weighted, divided = np.empty((hours, len(sums))), np.empty((hours, len(sums)))
    own, common = math.sqrt(1.0 - correlation), math.sqrt(correlation)
    for hour in range(hours):
        score = own * rng.standard_normal(sums.shape) + common * rng.standard_normal((len(sums), 1))
        if moved is not None and hour >= quiet:
            score += np.where(moved, shift, 0.0)
        due = hour % plan.every == 0
        sums = np.where(due, np.minimum((1.0 + sums) * np.exp(shift * score - shift**2 / 2.0), 1e200), sums)
        weighted[hour] = np.log(np.maximum((sums * held / runs).sum(axis=1), 1e-9)) + OVERSHOOT
        divided[hour] = np.log(np.maximum((sums / count / runs).max(axis=1), 1e-9)) + OVERSHOOT
    return Watched(weighted=weighted, divided=divided)


def rows(workers: Workers, effort: Effort, seed: int) -> Iterator[Line]:
    """False incidents over the budget; the delay where a quarter of the streams move; and what shares bring."""
    hours = 2 * round(BUDGET)
    for n, correlation in enumerate(CORRELATIONS):
        at = seed + n
        quiet = watched(ALIKE, ALIKE.shares(), hours, correlation, at, copies=2 * effort.control)
        ours, plain = (_over(paths) for paths in (quiet.weighted, quiet.divided))
        yield _incidents(f"20 streams alike, correlation {correlation:g}", ours, plain, at)
        yield _five(2 * effort.control, correlation, at + 10)
    mixed = watched(MIXED, MIXED.shares(), hours, 0.6, seed + 20, copies=2 * effort.control)
    ours, plain = (_over(paths) for paths in (mixed.weighted, mixed.divided))
    yield _incidents("20 mixed streams, correlation 0.6", ours, plain, seed + 20)
    yield _one(effort.control, seed + 21)


def _incidents(what: str, ours: Measured, plain: Measured, seed: int) -> Line:
    return Line(
        case=f"{what}: false incidents",
        ours=ours,
        unit="of budget",
        seed=seed,
        note=f"Gaussian stand-ins; plain division {plain.value:.2f} ± {plain.error:.2f}",
        bars=at_most(1.1, 1.0),
    )


def _over(statistic: Array) -> Measured:
    found = arl.run_length(_paths(statistic), _AT)
    over = BUDGET / found.value
    return Measured(value=over, error=over / math.sqrt(max(found.n, 1)), n=found.n)


#: Paths hold positive values; an alarm is due where they reach this.
_AT = 100.0


def _paths(statistic: Array) -> list[arl.Path]:
    return arl.paths_of(statistic + _AT)


def _delay(statistic: Array, quiet: int) -> Measured:
    return arl.delay(_paths(statistic[quiet:]), _paths(statistic[:quiet]), _AT)[0]


def _five(copies: int, correlation: float, seed: int) -> Line:
    rng, quiet = np.random.default_rng(seed), 240
    moved = rng.random((copies, 20)).argsort(axis=1) < MOVED
    found = watched(ALIKE, ALIKE.shares(), quiet + 200, correlation, seed, moved=moved, quiet=quiet)
    ours, plain = _delay(found.weighted, quiet), _delay(found.divided, quiet)
    return _compared(
        f"5 of 20 alike move, correlation {correlation:g}: delay over plain division's", ours, plain, seed
    )


def _one(copies: int, seed: int) -> Line:
    """Each stream moves alone in as many copies, so that the mean is that of the summed delay."""
    quiet, every = 240, 20
    moved = np.tile(np.eye(every, dtype=bool), (max(1, copies // 4), 1))
    ours, equal = (
        _delay(watched(MIXED, held, quiet + 1500, 0.6, seed, moved=moved, quiet=quiet).weighted, quiet)
        for held in (MIXED.shares(), MIXED.equal())
    )
    return _compared("one of 20 mixed streams moves: delay over that of equal shares", ours, equal, seed)


def _compared(case: str, ours: Measured, other: Measured, seed: int) -> Line:
    ratio = ours.value / other.value
    apart = math.hypot(ours.error / ours.value, other.error / other.value)
    return Line(
        case=case,
        # Both saw the same draws, so the error of their ratio is less than that of independent ones.
        ours=Measured(value=ratio, error=ratio * apart / 2.0, n=ours.n),
        unit="ratio",
        seed=seed,
        note=f"Gaussian stand-ins; {ours.value:.1f} h against {other.value:.1f} h",
        bars=at_most(1.0, 0.9),
    )
