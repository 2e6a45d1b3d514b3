"""The pool of cases as a law on a grid: how likely each is to be answered well, learnt by EM.

Every function takes arrays and works on several pools at once: leading dimensions are pools. Counts have shape
(..., cases, 2), passes k and runs n of each case; weights have shape (..., 41).
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Probabilities of a pass: 41, equally spaced in logit, from .002 to .998. No case is taken for certain.
LOGITS: Array = np.linspace(-6.2, 6.2, 41)
THETA: Array = 1.0 / (1.0 + np.exp(-LOGITS))
LOG_PASS: Array = -np.log1p(np.exp(-LOGITS))
LOG_FAIL: Array = -np.log1p(np.exp(LOGITS))

#: k logit theta + n ln(1 - theta), the same as k ln theta + (n - k) ln(1 - theta) in one product.
_BASIS: Array = np.stack((LOGITS, LOG_FAIL))

#: The largest shift in logit.
FURTHEST = 8.0

#: Cases that every pool is fitted with, spread evenly over the grid: without them a pool where everything
#: passed would be taken for certain to pass.
PSEUDO_CASES = 5.0

#: Steps of the first fit, from even weights, and of a later one, from the weights before.
STEPS = 150
STEPS_WARM = 40


def log_likelihood(counts: Array) -> Array:
    """The logarithm of theta^k (1 - theta)^(n - k) on the grid; shape (..., cases, 41)."""
    return np.asarray(counts @ _BASIS)


def fit_weights(counts: Array, *, times: Array | None = None, start: Array | None = None) -> Array:
    """The pool's law by EM: w_g <- (sum_i r_ig + 5/41) / (M + 5), r_ig ~ w_g theta_g^k_i (1 - theta_g)^(n_i - k_i).

    The nonparametric maximum-likelihood mixture (Laird 1978) on a grid, with five pseudo-cases spread evenly.

    Args:
        counts: Passes and runs of each case.
        times: How many cases have these counts, shape (..., cases); one each if None.
        start: Weights to start from, shape (..., 41): 40 steps from there, else 150 from even ones.
    """
    grid = log_likelihood(counts)
    grid = np.exp(grid - grid.max(axis=-1, keepdims=True))
    counted = np.ones(counts.shape[:-1]) if times is None else times
    size = counted.sum(axis=-1, keepdims=True)
    weights = np.full((*counts.shape[:-2], len(THETA)), 1.0 / len(THETA)) if start is None else start
    turned = np.swapaxes(grid, -1, -2)
    for _ in range(STEPS if start is None else STEPS_WARM):
        each = counted / (grid @ weights[..., None])[..., 0]
        shares = weights * (turned @ each[..., None])[..., 0]
        weights = (shares + PSEUDO_CASES / len(THETA)) / (size + PSEUDO_CASES)
    return np.asarray(weights)


def posterior(log_weights: Array, counts: Array) -> Array:
    """W_ig, what is known of each case after its runs; shape (..., cases, 41), each row adds up to 1."""
    grid = unscaled(log_weights, counts)
    return np.asarray(grid / grid.sum(axis=-1, keepdims=True))


def unscaled(log_weights: Array, counts: Array) -> Array:
    """As `posterior`, each row up to a factor."""
    grid = log_likelihood(counts)
    grid += log_weights[..., None, :]
    grid -= grid.max(axis=-1, keepdims=True)
    return np.asarray(np.exp(grid, out=grid))


def moved(shift: Array | float) -> Array:
    """Probabilities on the grid after a common shift in logit, none beyond its ends; shape of `shift` + (41,).

    A case at the lowest point has nothing to lose. If it could fall further, each failure of a case that never
    passed would count as a little worse, and a pool that always fails would alarm for nothing.
    """
    logits = np.clip(LOGITS + np.asarray(shift)[..., None], LOGITS[0], LOGITS[-1])
    return np.asarray(1.0 / (1.0 + np.exp(-logits)))


def shift_to(weights: Array, mean: Array) -> Array:
    """The common shift in logit that takes the pool's mean to `mean`; by bisection, to 1e-9, `FURTHEST` at most.

    Args:
        weights: Of the pool, shape (..., 41).
        mean: Wanted, shape (...).
    """
    low, high = np.full(mean.shape, -FURTHEST), np.full(mean.shape, FURTHEST)
    for _ in range(36):
        middle = (low + high) / 2.0
        under = (weights * moved(middle)).sum(axis=-1) < mean
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return np.asarray((low + high) / 2.0)
