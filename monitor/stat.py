"""What one round says in numbers: mean with an interval, and a sketch that merges over rounds and replicas."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_Z = 1.959963984540054  # 97.5 % quantile of the standard normal

#: Buckets of the sketch grow by 2 %, so a quantile read from it is off by at most 1 %.
_GAMMA = 1.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Stat:
    """Mean of `n` values with its 95 % interval; `sketch` counts positive values by logarithmic bucket."""

    n: int
    mean: float
    variance: float
    low: float
    high: float
    sketch: dict[str, int] | None = None


def summarise(values: Sequence[float], weights: Sequence[float], *, share: bool) -> Stat | None:
    """Sums a round up; None where there is nothing.

    Args:
        values: One per reply.
        weights: One per reply, above 0.
        share: Whether values lie in 0..1 (scores, failures); the interval is then Wilson's (1927), which
            holds for small n and at the edges; else it is the normal one for a mean.
    """
    if not values:
        return None
    total = math.fsum(weights)
    mean = math.fsum(w * x for w, x in zip(weights, values, strict=True)) / total
    variance = math.fsum(w * (x - mean) ** 2 for w, x in zip(weights, values, strict=True)) / total
    effective = total * total / math.fsum(w * w for w in weights)  # Kish 1965
    low, high = wilson(mean, effective) if share else _normal(mean, variance, effective)
    return Stat(
        n=len(values),
        mean=mean,
        variance=variance,
        low=low,
        high=high,
        sketch=None if share else sketch(values),
    )


def wilson(mean: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share seen in `n` tries."""
    centre = (mean + _Z * _Z / (2 * n)) / (1 + _Z * _Z / n)
    half = _Z / (1 + _Z * _Z / n) * math.sqrt(mean * (1 - mean) / n + _Z * _Z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def _normal(mean: float, variance: float, n: float) -> tuple[float, float]:
    half = _Z * math.sqrt(variance / (n - 1)) if n > 1 else math.inf
    return (mean - half, mean + half) if math.isfinite(half) else (mean, mean)


def sketch(values: Sequence[float]) -> dict[str, int]:
    """Counts by bucket k, which holds (gamma^(k-1), gamma^k] (DDSketch, Masson et al. 2019)."""
    counts: dict[str, int] = {}
    for value in values:
        if value > 0:
            key = str(math.ceil(math.log(value, _GAMMA)))
            counts[key] = counts.get(key, 0) + 1
    return counts


def merge(sketches: Sequence[dict[str, int]]) -> dict[str, int]:
    """One sketch over many rounds."""
    counts: dict[str, int] = {}
    for each in sketches:
        for key, count in each.items():
            counts[key] = counts.get(key, 0) + count
    return counts


def quantile(counts: dict[str, Any], q: float) -> float | None:
    """The value at quantile `q` (0..1), within 1 %; None of an empty sketch."""
    total = sum(counts.values())
    rank = q * (total - 1)
    seen = 0
    for key in sorted(counts, key=int):
        seen += counts[key]
        if seen > rank:
            return float(2 * _GAMMA ** int(key) / (_GAMMA + 1))
    return None
