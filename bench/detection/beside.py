"""What stands beside the rows of scores: the optimum and river's detectors, on the same pools and changes."""

import random
from collections.abc import Mapping
from functools import partial

import numpy as np

from bench.detection import optimum, pools, rivers, worlds
from bench.detection.arl import Measured
from bench.detection.effort import MATCHED, Effort
from bench.detection.trial import Workers
from bench.detection.worlds import Change


def laws(
    streams: int, seed: int, change: Change, flipped: float = 0.0
) -> tuple[optimum.Array, optimum.Array]:
    """Probabilities of a pass before and after a change, one row a stream."""
    before, after = [], []
    for n in range(streams):
        rng = random.Random(seed + n)
        p = pools.main(rng)
        q = change(worlds.Scores(rng=rng, p=p))
        assert isinstance(q, worlds.Scores)
        before.append(pools.noisy(p, flipped))
        after.append(pools.noisy(q.p, flipped))
    return np.array(before), np.array(after)


def limit(effort: Effort, seed: int, change: Change, flipped: float = 0.0) -> Measured:
    """What the CUSUM that knows the laws needs for a change of the main pool."""
    before, after = laws(effort.optimum, seed, change, flipped)
    known = optimum.Binary(before=before, after=after, panel=pools.PANEL)
    return optimum.delay(known, seed, target=MATCHED, rounds=4000)


def rivals(workers: Workers, effort: Effort, seed: int, changes: Mapping[str, Change]) -> dict[str, str]:
    """For each change, river's calibrated detectors in words, the fastest first."""
    known = {name: laws(effort.rivals, seed, changes[name]) for name in changes}
    job = partial(rivers.job, laws=known, rounds=2500, quiet=200, target=MATCHED, seed=seed)
    found = workers.map(job, rivers.RIVALS)
    said = {}
    for name in changes:
        ranked = sorted(found, key=lambda one: one.delays[name].value)
        said[name] = "; ".join(rivers.said(one, name) for one in ranked)
    return said
