"""The usual level of each case on the log scale, and how far a value lies off it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: A measure that hardly varies inside a case is taken to vary by a percent.
LEAST_VARIANCE = 1e-4


@dataclass(frozen=True, kw_only=True, slots=True)
class Levels:
    """The log levels of a pool: grand mean, variance inside a case, variance between cases."""

    mean: float
    inside: float
    between: float

    def expected(self, runs: int, total: float) -> float:
        """The log value expected of a case with these runs."""
        return (self.between * total + self.inside * self.mean) / (runs * self.between + self.inside)

    def residual(self, value: float, runs: int, total: float) -> float:
        """How far a log value lies off, in standard deviations, to a tenth.

        The rounding makes ties, which are then drawn fairly: the last digits of a measure that hardly
        varies would otherwise carry a rank.
        """
        uncertain = self.between * self.inside / (runs * self.between + self.inside)
        return round((value - self.expected(runs, total)) / math.sqrt(self.inside + uncertain), 1)


def fit_levels(logs: Mapping[str, Sequence[float]]) -> Levels:
    """Moments of a capture; the variance between cases is at least a hundredth of that inside one.

    Args:
        logs: Case key -> the logarithms of its values; none is empty.
    """
    means = {case: math.fsum(values) / len(values) for case, values in logs.items()}
    mean = math.fsum(means.values()) / len(means)
    freedom = sum(len(values) - 1 for values in logs.values())
    squares = math.fsum((value - means[case]) ** 2 for case, values in logs.items() for value in values)
    inside = max(squares / max(freedom, 1), LEAST_VARIANCE)
    runs = sum(len(values) for values in logs.values()) / len(logs)
    spread = math.fsum((one - mean) ** 2 for one in means.values()) / max(len(means) - 1, 1)
    return Levels(mean=mean, inside=inside, between=max(spread - inside / runs, 0.01 * inside))
