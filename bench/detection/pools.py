"""Pools of cases with known laws: the probability that each case passes, or the level of its values."""

import math
import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: The pool of the main tables: Beta of mean .8 and concentration .5, so most cases pass or fail nearly always.
MEAN, CONCENTRATION = 0.8, 0.5
SIZE, PANEL, RUNS = 500, 20, 5

#: Log latency: the spread of cases around each other, and of one case's replies around its level.
CASE_SD, REPLY_SD = 0.5, 0.35


def main(rng: random.Random, size: int = SIZE, floor: float = 0.02) -> list[float]:
    """The main pool, clipped to `floor`..1 - `floor`."""
    a, b = MEAN * CONCENTRATION, (1.0 - MEAN) * CONCENTRATION
    return [min(1.0 - floor, max(floor, rng.betavariate(a, b))) for _ in range(size)]


def two_sided(rng: random.Random, low: float, size: int = SIZE) -> list[float]:
    """Cases that pass with probability `low` or 1 - `low`, three of four the latter, and 5 % anywhere between."""
    return [
        rng.random() if rng.random() < 0.05 else 1.0 - low if rng.random() < 0.75 else low
        for _ in range(size)
    ]


def reliable(rng: random.Random, size: int = SIZE) -> list[float]:
    """Cases that pass in 97 to 100 % of their runs, and 2 % each that pass in 3 % or never."""
    drawn = (rng.random() for _ in range(size))
    return [0.03 if u < 0.02 else 0.0 if u < 0.04 else rng.uniform(0.97, 1.0) for u in drawn]


def hard(rng: random.Random, size: int = 50) -> list[float]:
    """Cases of which 76 % never pass; the others are of all kinds."""
    return [0.0 if n < round(0.76 * size) else rng.random() for n in range(size)]


def extreme(rng: random.Random, size: int = 30) -> list[float]:
    """Cases at .01 and .99, as many of each."""
    pool = [0.01 if n % 2 else 0.99 for n in range(size)]
    rng.shuffle(pool)
    return pool


def same(rng: random.Random, p: float, size: int) -> list[float]:
    """Cases that are all alike."""
    return [p] * size


def levels(rng: random.Random, size: int) -> list[float]:
    """Levels of log latency."""
    return [rng.gauss(0.0, CASE_SD) for _ in range(size)]


def graded(rng: random.Random, size: int = SIZE) -> list[float]:
    """Mean scores between .4 and .85, so that replies of sd .15 seldom reach 0 or 1."""
    return [min(0.85, max(0.4, rng.gauss(0.7, 0.1))) for _ in range(size)]


def noisy(pool: Sequence[float], flipped: float) -> list[float]:
    """The pool as a judge sees it who turns this share of verdicts round."""
    return [p * (1.0 - flipped) + (1.0 - p) * flipped for p in pool]


def shifted(pool: Sequence[float], shift: float) -> list[float]:
    """The pool after a common shift in logit."""
    return _shifted(np.asarray(pool), shift).tolist()  # type: ignore[no-any-return]  # numpy types it as Any


def moved(pool: Sequence[float], points: float) -> list[float]:
    """The pool after the common shift in logit that moves its mean by `points` (0..1, negative for a fall)."""
    low, high, p = -14.0, 14.0, np.asarray(pool)
    target = p.mean() + points
    for _ in range(50):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _shifted(p, middle).mean() < target else (low, middle)
    return shifted(pool, low)


def _shifted(p: NDArray[np.float64], shift: float) -> NDArray[np.float64]:
    passed = p * math.exp(shift)
    return np.asarray(passed / (1.0 - p + passed))
