"""The table of measures: what is measured, in which unit, and what watches it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from probes.outcome import ENDPOINT_FAILURES, NETWORK_FAILURES, Outcome

#: Our own lateness may be at most this share of a measured time; beyond it the time says nothing.
TRUSTED_LAG = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """One thing that is measured on every reply.

    Attributes:
        name: Identity and metric label.
        unit: score, seconds, tokens, dollars or failures.
        higher_is_better: Which way is good.
        detector: Name of its default detector in `plumbline.detectors`.
        alarms: Whether it may raise incidents and shares the false-alarm budget, or is only watched.
        needs_baseline: Whether `detector` needs a captured baseline.
        without_baseline: Name of the detector that judges until there is one, where none is captured by itself; empty
            where none is needed.
        either_way: Whether a move to either side is worth a warning; else only one to the worse is.
        scored: Whether its reference depends on how replies are scored, and not only on what is asked.
        of: The value of a stored result, or None where it has none.
    """

    name: str
    unit: str
    higher_is_better: bool
    detector: str
    alarms: bool
    needs_baseline: bool
    without_baseline: str
    either_way: bool
    scored: bool
    of: Callable[[Any], float | None]

    @property
    def worse(self) -> str:
        """The direction that is told: "down" or "up"."""
        return "down" if self.higher_is_better else "up"


def _score(row: Any) -> float | None:
    return row.score if row.outcome == Outcome.OK else None


def _failed(row: Any) -> float | None:
    """1 for the endpoint's failures, 0 for a reply; what is ours, or says "slow down", is neither.

    Failures that may be our network's are left to the caller, who knows about the uplink.
    """
    if row.outcome == Outcome.OK:
        return 0.0
    return 1.0 if row.outcome in ENDPOINT_FAILURES | NETWORK_FAILURES else None


def _seconds(name: str) -> Callable[[Any], float | None]:
    def value(row: Any) -> float | None:
        seconds: float | None = getattr(row, name)
        if row.outcome != Outcome.OK or seconds is None or seconds <= 0 or row.lag > TRUSTED_LAG * seconds:
            return None
        return seconds

    return value


def _output_tokens(row: Any) -> float | None:
    return float(row.output_tokens) if row.outcome == Outcome.OK and row.output_tokens else None


def _cost(row: Any) -> float | None:
    return row.cost_nano / 1e9 if row.outcome == Outcome.OK and row.cost_nano else None


def _measure(
    name: str, unit: str, detector: str, of: Callable[[Any], float | None], **changes: Any
) -> Measure:
    plain: dict[str, Any] = {
        "higher_is_better": False,
        "alarms": True,
        "needs_baseline": True,
        "without_baseline": "adwin" if unit == "score" else "adwin-log",
        "either_way": False,
        "scored": False,
    }
    return Measure(name=name, unit=unit, detector=detector, of=of, **{**plain, **changes})


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        _measure("score", "score", "paired", _score, higher_is_better=True, scored=True),
        _measure("errors", "failures", "failures", _failed, needs_baseline=False, without_baseline=""),
        _measure("latency", "seconds", "ranks", _seconds("elapsed")),
        _measure("time_to_first_token", "seconds", "ranks", _seconds("first_token")),
        _measure("output_tokens", "tokens", "two-way-ranks", _output_tokens, either_way=True),
        _measure("time_per_output_token", "seconds", "ranks", _seconds("between_tokens"), alarms=False),
        _measure("cost", "dollars", "two-way-ranks", _cost, alarms=False),
    )
}
