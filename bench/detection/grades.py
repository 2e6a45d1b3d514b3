"""Rows of graded scores."""

import random
from collections.abc import Iterator
from functools import partial

from bench.detection import engines, pools, worlds
from bench.detection.effort import MATCHED, Effort
from bench.detection.line import Line, at_most, within
from bench.detection.runner import Stream
from bench.detection.trial import Trial, Workers

FALL = partial(worlds.worse_graded, points=0.05)


def stream(rng: random.Random, *, sd: float = 0.15) -> Stream:
    """A stream of graded scores whose capture is done."""
    world = worlds.Graded(rng=rng, mean=pools.graded(rng), sd=sd)
    one = Stream(detector=engines.score(), world=world, rng=rng, panel=pools.PANEL, bursts=False)
    one.capture(pools.RUNS)
    return one


def drops(workers: Workers, effort: Effort, seed: int) -> Iterator[Line]:
    """Replies of sd .15, every case five points lower."""
    trial = Trial(make=stream, rounds=effort.rounds, changes={"fall": FALL})
    trials = workers.trials(trial, seed, 2 * effort.slow, effort.slow)
    height = trials.height(MATCHED)
    yield Line(
        case="graded, reply sd .15, 5-point drop",
        ours=trials.delay("fall", height),
        unit="rounds",
        seed=seed,
        note=f"h {height:.2f} (law {trials.records[0].law:.2f})",
        bars=at_most(8, 6),
    )
    found = trials.ratio(MATCHED)
    yield Line(
        case="graded r/s, reply sd .15",
        ours=found,
        unit="r/s",
        seed=seed,
        note=f"{found.n} alarms",
        bars=within((0.5, 1.8), (0.8, 1.25)),
    )
