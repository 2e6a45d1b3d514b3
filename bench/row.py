"""One line of the report: what was measured, beside what, and whether that is good enough."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Unit = Literal["s", "ms", "requests/s", "MiB"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """What must hold and what we aim at, for the ratio to the baseline or for the measured value itself."""

    sense: Literal["<=", ">="]
    must: float
    aim: float
    of: Literal["ratio", "measured"]

    def verdict(self, value: float) -> str:
        """aim, must or miss."""
        if self._holds(value, self.aim):
            return "aim"
        return "must" if self._holds(value, self.must) else "miss"

    def _holds(self, value: float, bar: float) -> bool:
        return value <= bar if self.sense == "<=" else value >= bar


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line.

    Attributes:
        bench: The benchmark that measured it.
        what: For people.
        unit: Of `measured` and `baseline`.
        measured: Median of `samples`, or a quantile over all of them where `what` says so.
        baseline: The same of the bare thing, measured in the same run; None where there is none.
        baseline_what: What the bare thing is.
        ratio: Median of the ratios within each round, or the quotient of the two; None without a baseline.
        target: What is asked of it; None where the line is only for information.
        samples: One value a round.
    """

    bench: str
    what: str
    unit: Unit
    measured: float
    baseline: float | None = None
    baseline_what: str = ""
    ratio: float | None = None
    target: Target | None = None
    samples: Sequence[float] = ()

    @property
    def verdict(self) -> str:
        """aim, must, miss, or nothing where nothing is asked."""
        if self.target is None:
            return ""
        value = self.ratio if self.target.of == "ratio" else self.measured
        return "" if value is None else self.target.verdict(value)

    def bar(self, name: Literal["must", "aim"]) -> str:
        """One bar as it is printed."""
        if self.target is None:
            return ""
        number = getattr(self.target, name)
        unit = "x" if self.target.of == "ratio" else f" {self.unit}"
        return f"{self.target.sense} {number:g}{unit}"

    def shown(self, value: float | None) -> str:
        """A value with its unit."""
        if value is None:
            return ""
        digits = {"s": 3, "ms": 2, "requests/s": 0, "MiB": 0}[self.unit]
        return f"{value:,.{digits}f} {self.unit}"

    def as_json(self) -> dict[str, Any]:
        """Plain JSON, the verdict included."""
        return {**asdict(self), "verdict": self.verdict}


def middle(values: Sequence[float]) -> float:
    """The median."""
    return quantile(values, 0.5)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie (nearest rank, upwards)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
