"""Thresholds: the law's, the bootstrap's and the stream's own, and which of them counts.

The law ln(ARL) - overshoot holds for one shape of pool. The bootstrap runs the whole engine on endpoints drawn
from the fitted pool. The stream's own history needs no model at all, and it alone knows of loads that drift
slowly (rounds correlated with the next ones): whole blocks of rounds are resampled (Künsch 1989).
"""

import hashlib
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from monitor.drift.batch import Streams
from monitor.drift.detector import Detector, Observation, Reference, Round
from monitor.drift.evidence import CEILING, OVERSHOOT
from monitor.drift.gathering import Indices
from monitor.drift.grid import THETA, Array
from monitor.drift.laws import mixture_weights
from monitor.drift.replay import apply

#: Run lengths at which thresholds are sought; longer ones follow with slope 1 in ln(ARL).
BOOTSTRAP_ARL = 500.0
HISTORY_ARL = 250.0

#: Replications of the bootstrap, and the rounds of each.
REPLICATIONS = 50
ROUNDS = 2_000

#: Rounds in control from which the own history counts, and how many of the first it leaves out: until then
#: references fill and loads are learnt, and bets are not yet what they will be. Rounds of a block, and
#: histories resampled from them.
HISTORY_NEEDED = 1_000
SETTLES_IN = 300
BLOCK = 10
RESAMPLED = 100

_START = datetime(2000, 1, 1, tzinfo=UTC)
_NO_ALARM = 1e150
_STEPS = 41


#: An endpoint in control, as drawn from a fitted pool: the runs of its capture, and its rounds from then on.
World = tuple[Mapping[str, Sequence[float]], Iterator[Sequence[Observation]]]


def law_threshold(detector: Detector, reference: Reference, run_length: float) -> float:
    """The threshold that a detector takes by itself, told on a round in which nothing came."""
    nothing = Round(at=_START, observations=(), run_length=run_length, rng=random.Random(0))  # noqa: S311 - nothing draws
    return detector.update(detector.start(), reference, nothing).verdict.threshold


def bootstrap(
    detector: Detector,
    draw: Callable[[random.Random], World],
    weights: Array,
    rng: random.Random,
    *,
    replications: int = REPLICATIONS,
    rounds: int = ROUNDS,
) -> float:
    """The correction to the law's threshold, in nats, by a full parametric bootstrap.

    Each replication draws an endpoint, captures it, fits the detector to that capture and runs it. Redrawing
    only the future of the capture at hand would take its luck for the truth. For passes and failures
    `bootstrap_scores` does the same a hundred times as fast, with re-asks and bursts.

    Args:
        detector: What to calibrate.
        draw: An endpoint drawn from the fitted pool.
        weights: Of the components of the detector's mixture; shape (components,).
        rng: Where the draws come from.
        replications: Endpoints.
        rounds: Of each that are judged; several times `BOOTSTRAP_ARL`.
    """
    paths = [_play(detector, draw(rng), rng, rounds) for _ in range(replications)]
    law = law_threshold(detector, Reference(), BOOTSTRAP_ARL)
    return mixture_threshold_at(np.stack(paths, axis=1), weights, BOOTSTRAP_ARL) - law


def bootstrap_scores(
    pool: Array,
    rng: np.random.Generator,
    *,
    cases: int,
    panel: int,
    runs: int,
    reasks: bool = True,
    bursts: bool = True,
    replications: int = REPLICATIONS,
    rounds: int = ROUNDS,
) -> float:
    """The correction for a stream of passes and failures, in nats, by a full parametric bootstrap.

    Args:
        pool: The fitted weights on the grid; shape (41,).
        rng: Where the draws come from.
        cases: M, of the pool.
        panel: K, cases a round.
        runs: B, of each case at the capture; three at least.
        reasks: Whether unlikely replies are asked again.
        bursts: Whether rounds grow when the evidence does.
        replications: Endpoints.
        rounds: Of each.
    """
    law = math.log(BOOTSTRAP_ARL) - OVERSHOOT
    p = rng.choice(THETA, p=pool / pool.sum(), size=(replications, cases))
    captured = np.full(p.shape, float(runs))
    passes = rng.binomial(runs, p).astype(np.float64)
    streams = Streams(_Replies(p, rng), passes, captured, panel=panel, reasks=reasks, bursts=bursts)
    log_bets = np.empty((rounds, replications, streams.components))
    for number in range(rounds):
        streams.round()
        log_bets[number] = streams.bets
        streams.reset(streams.statistic >= law)
    return mixture_threshold_at(log_bets, mixture_weights(streams.components), BOOTSTRAP_ARL) - law


def bootstrap_key(pool: Sequence[float], *, cases: int, panel: int, runs: int, asks: str = "") -> str:
    """Under what a bootstrap's correction is kept: the same for pools that hardly differ.

    Args:
        pool: The fitted weights on the grid.
        cases: Of the pool.
        panel: Cases a round.
        runs: Of each case at the capture.
        asks: What else changes the rounds: whether there are re-asks and bursts.
    """
    plain = json.dumps([[round(weight, 2) for weight in pool], cases, panel, runs, asks])
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def own_history(log_bets: Array, weights: Array, rng: np.random.Generator, run_length: float) -> float | None:
    """The threshold by the stream's own rounds in control, resampled in blocks.

    Args:
        log_bets: The rounds' sums of l from the stream's first on, shape (rounds, components).
        weights: Of the components, adding up to 1; shape (components,).
        rng: Where the blocks are drawn from.
        run_length: Rounds between false alarms.

    Returns:
        In nats; None where there are fewer than `HISTORY_NEEDED` rounds.
    """
    if len(log_bets) < HISTORY_NEEDED:
        return None
    settled = log_bets[SETTLES_IN:]
    starts = rng.integers(0, len(settled), size=(-(-HISTORY_NEEDED // BLOCK), RESAMPLED))
    rows = (starts[:, None, :] + np.arange(BLOCK)[None, :, None]) % len(settled)
    resampled = settled[rows.reshape(-1, RESAMPLED)]
    return mixture_threshold_at(resampled, weights, HISTORY_ARL) + math.log(run_length / HISTORY_ARL)


def mixture_threshold_at(log_bets: Array, weights: Array, run_length: float) -> float:
    """The threshold at which Shiryaev-Roberts mixtures of these rounds alarm once in so many rounds.

    All candidate thresholds are tried in one pass; each alarm of a candidate sets its own sums to 0.

    Args:
        log_bets: Shape (rounds, replications, components).
        weights: Shape (components,).
        run_length: Rounds between alarms.
    """
    heights = math.log(run_length) + np.linspace(-4.0, 8.0, 3 * _STEPS)
    levels = np.exp(heights)[:, None]
    bets = np.exp(np.minimum(log_bets, 300.0))
    sums = np.zeros((len(heights), *log_bets.shape[1:]))
    alarms = np.zeros(len(heights))
    for factors in bets:
        sums += 1.0
        sums *= factors
        np.minimum(sums, CEILING, out=sums)
        alarmed = sums @ weights >= levels
        alarms += alarmed.sum(axis=1)
        sums[alarmed] = 0.0
    return _crossing(heights, alarms * run_length / (log_bets.shape[0] * log_bets.shape[1]))


def _crossing(heights: Array, rates: Array) -> float:
    """Where the rate of alarms over the one that is wanted falls through 1; interpolated in its logarithm."""
    over = rates > 1.0
    if over.all() or not over.any():
        return float(heights[-1] if over.all() else heights[0])
    above = int(np.flatnonzero(over)[-1])
    if above + 1 == len(heights):
        return float(heights[-1])
    high, low = math.log(rates[above]), math.log(max(float(rates[above + 1]), 1e-9))
    return float(heights[above] + (heights[above + 1] - heights[above]) * high / (high - low))


def _play(detector: Detector, world: World, rng: random.Random, rounds: int) -> Array:
    """The sums of l of this many judged rounds; shape (rounds, components). No alarm ends them."""
    runs, asked = world
    reference, state, kept = detector.fit(runs), detector.start(), list[tuple[float, ...]]()
    for number, observations in enumerate(asked):
        if len(kept) == rounds:
            break
        step = detector.update(
            state,
            reference,
            Round(
                at=_START + number * timedelta(hours=1),
                observations=observations,
                run_length=_NO_ALARM,
                rng=rng,
            ),
        )
        state, reference = step.state, apply(reference, step)
        kept += [step.log_bets] if step.log_bets else []
    return np.array(kept)


class _Replies:
    """Endpoints that pass each case with its own probability, each time anew."""

    def __init__(self, p: Array, rng: np.random.Generator) -> None:
        self.p, self.rng = p, rng

    def reply(self, streams: Indices, cases: Indices) -> Array:
        """See `batch.Replies`."""
        p = self.p[streams[:, None], cases]
        return (self.rng.random(p.shape) < p).astype(np.float64)

    def again(self, streams: Indices, cases: Indices, first: Array) -> Array:
        """See `batch.Replies`."""
        p = self.p[streams, cases][:, None]
        return (self.rng.random((len(p), 2)) < p).astype(np.float64)
