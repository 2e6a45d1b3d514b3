"""One measure over many requests: mean, spread and quantiles, each with what n requests can say of it.

Pure. numpy and scipy come in where they are used, for nothing else needs them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: The quantiles that are shown, by name.
QUANTILES = {"median": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}

_TAIL = 0.025  # of a two-sided 95 % interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A value with its 95 % interval; a bound is None where n requests cannot tell it."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """One measure over n requests; `std` (of the sample) is None for one. `distrusted` ones are left out."""

    n: int
    distrusted: int
    min: float
    mean: Estimate
    median: Estimate
    p90: Estimate
    p95: Estimate
    p99: Estimate
    max: float
    std: float | None


def distribution(values: Floats, *, distrusted: int = 0) -> Distribution | None:
    """Sums values up; None where there are none.

    Quantiles are the median-unbiased ones of Hyndman & Fan 1996 (type 8): unlike the common type 7 they do not
    lie below what n values already say for sure. See `quantile_ranks` for their intervals. The interval of the
    mean is Student's.
    """
    import numpy as np

    n = len(values)
    if n == 0:
        return None
    ordered = np.sort(values)
    cuts = np.quantile(ordered, list(QUANTILES.values()), method="median_unbiased")
    quantiles = {
        name: _quantile(ordered, q, float(cut))
        for (name, q), cut in zip(QUANTILES.items(), cuts, strict=True)
    }
    std = float(ordered.std(ddof=1)) if n > 1 else None
    return Distribution(
        n=n,
        distrusted=distrusted,
        min=float(ordered[0]),
        mean=_mean(float(ordered.mean()), std, n),
        max=float(ordered[-1]),
        std=std,
        **quantiles,
    )


def _mean(mean: float, std: float | None, n: int) -> Estimate:
    from scipy.special import stdtrit

    if std is None:
        return Estimate(value=mean, low=None, high=None)
    half = float(stdtrit(n - 1, 1 - _TAIL)) * std / math.sqrt(n)
    return Estimate(value=mean, low=mean - half, high=mean + half)


def _quantile(ordered: Floats, q: float, value: float) -> Estimate:
    low, high = quantile_ranks(len(ordered), q)
    return Estimate(
        value=value,
        low=None if low is None else float(ordered[low]),
        high=None if high is None else float(ordered[high]),
    )


def quantile_ranks(n: int, q: float) -> tuple[int | None, int | None]:
    """Which of n sorted values (from 0) bound the quantile `q` with 95 % confidence, whatever the distribution.

    The number of values below the quantile is binomial (David & Nagaraja, Order Statistics, 2003, 7.1). A
    bound is None where n values are too few to hold one: of 50 values none is surely above the 99th percentile.
    """
    low = _least(_TAIL, n, q)
    high = _least(1 - _TAIL, n, q) + 1
    return (low - 1 if low >= 1 else None), (high - 1 if high <= n else None)


def _least(share: float, n: int, q: float) -> int:
    """The least k with P(Binomial(n, q) <= k) >= share."""
    from scipy.special import bdtr, bdtrik

    k = max(0, math.ceil(float(bdtrik(share, n, q)) - 1e-9))
    while k > 0 and bdtr(k - 1, n, q) >= share:
        k -= 1
    while bdtr(k, n, q) < share:
        k += 1
    return k
