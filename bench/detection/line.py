"""One line of the bars' table: what was measured, beside the limit and river, and whether that is good enough."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bench.detection.arl import Measured

Verdict = Literal["aim", "must", "near", "MISS", "no bar"]

#: A bar counts as missed where the measured value is beyond it by more than so many standard errors.
ERRORS = 2.0


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What a value is held against: it must lie in low..high."""

    low: float = -math.inf
    high: float = math.inf

    def holds(self, value: float, slack: float = 0.0) -> bool:
        """Whether the value lies inside, give or take `slack`."""
        return self.low - slack <= value <= self.high + slack

    def __str__(self) -> str:
        if math.isinf(self.low):
            return f"<= {self.high:g}"
        return f">= {self.low:g}" if math.isinf(self.high) else f"{self.low:g}-{self.high:g}"


@dataclass(frozen=True, kw_only=True)
class Bars:
    """What we owe, and where we want to be."""

    must: Bar
    aim: Bar


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line.

    Attributes:
        case: What happens.
        ours: What the product's detectors did.
        unit: Of all values.
        optimum: What a CUSUM that knows the laws did in the same run; None where none is defined.
        river: The best calibrated detector of river in the same run, in words.
        bars: What it is held against.
        note: What else there is to say.
        seed: Of the first stream; the others count on from it.
    """

    case: str
    ours: Measured
    unit: str
    seed: int
    optimum: Measured | None = None
    river: str = ""
    bars: Bars | None = None
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """aim or must where the bar holds; near where it is missed within the simulation's error; else MISS."""
        if self.bars is None:
            return "no bar"
        if self.bars.aim.holds(self.ours.value):
            return "aim"
        if self.bars.must.holds(self.ours.value):
            return "must"
        return "near" if self.bars.must.holds(self.ours.value, ERRORS * self.ours.error) else "MISS"

    def as_json(self) -> dict[str, Any]:
        """Plain JSON."""
        bars = {"must": str(self.bars.must), "aim": str(self.bars.aim)} if self.bars else None
        return {**asdict(self), "bars": bars, "verdict": self.verdict}


def at_most(must: float, aim: float) -> Bars:
    """Bars from above."""
    return Bars(must=Bar(high=must), aim=Bar(high=aim))


def at_least(must: float, aim: float) -> Bars:
    """Bars from below."""
    return Bars(must=Bar(low=must), aim=Bar(low=aim))


def within(must: Sequence[float], aim: Sequence[float]) -> Bars:
    """Bars on both sides, for realised over stated run lengths."""
    return Bars(must=Bar(low=must[0], high=must[1]), aim=Bar(low=aim[0], high=aim[1]))


def shown(measured: Measured | None, unit: str) -> str:
    """A value with its standard error."""
    if measured is None:
        return "-"
    digits = 0 if abs(measured.value) >= 100 else 1 if unit in ("rounds", "us") else 2
    error = f"{measured.error:.{digits}f}" if math.isfinite(measured.error) else "?"
    return f"{measured.value:,.{digits}f} ± {error}"
