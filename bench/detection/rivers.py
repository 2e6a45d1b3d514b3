"""river's detectors on the same kind of streams, calibrated to the same run length where their parameter allows.

They watch round means, or paired residuals: the value less what is expected of its case, from five runs and all later
replies (up to 25), drawn towards the pool's mean. River is imported here and nowhere else in the benchmark.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from bench.detection.arl import Measured

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

#: Rounds in a row, one row a stream; replies of a round along the last axis.
Watches = Literal["round mean", "paired residual, round mean", "paired residual, item by item"]

#: Runs that a case's expectation may rest on, as in the product.
HELD = 25


def adwin(parameter: float, per_round: int) -> Any:
    """ADWIN; the parameter is its delta. It looks at every round mean, or at every 32nd item."""
    from river.drift import ADWIN

    return ADWIN(delta=parameter, clock=1 if per_round == 1 else 32)


def page_hinkley(parameter: float, per_round: int) -> Any:
    """Page-Hinkley, downward on the negated series; the parameter is its threshold."""
    from river.drift import PageHinkley

    return PageHinkley(min_instances=10, delta=0.025, threshold=parameter, alpha=1.0, mode="down")


def kswin(parameter: float, per_round: int) -> Any:
    """KSWIN; the parameter is its alpha."""
    from river.drift import KSWIN

    return KSWIN(alpha=parameter, window_size=100, stat_size=30, seed=1)


@dataclass(frozen=True, kw_only=True)
class Rival:
    """One detector of river on one view of the stream.

    Attributes:
        name: For people.
        make: (parameter, updates a round) -> detector.
        watches: What it is fed with.
        low: The end of its parameter at which it alarms least.
        high: The other end.
        log: Whether the parameter is searched on the log scale.
        steps: Halvings of the search.
        streams: How many streams it can afford.
    """

    name: str
    make: Callable[[float, int], Any]
    watches: Watches
    low: float
    high: float
    log: bool = True
    steps: int = 6
    streams: int = 10_000


RIVALS = (
    Rival(name="ADWIN", make=adwin, watches="paired residual, item by item", low=0.02, high=0.9999),
    Rival(name="ADWIN", make=adwin, watches="round mean", low=0.02, high=0.9999),
    Rival(name="PageHinkley", make=page_hinkley, watches="paired residual, item by item", low=30.0, high=3.0),
    Rival(name="PageHinkley", make=page_hinkley, watches="paired residual, round mean", low=1.5, high=0.15),
    Rival(name="PageHinkley", make=page_hinkley, watches="round mean", low=1.5, high=0.15),
    Rival(
        name="KSWIN",
        make=kswin,
        watches="paired residual, round mean",
        low=1e-4,
        high=0.01,
        steps=3,
        streams=6,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Series:
    """Streams as river sees them; shape (streams, rounds, replies of a round)."""

    raw: Array
    residual: Array

    def of(self, watches: Watches) -> Array:
        """What a detector is fed with; shape (streams, rounds, updates of a round)."""
        if watches == "round mean":
            return np.asarray(self.raw.mean(axis=2, keepdims=True))
        if watches == "paired residual, round mean":
            return np.asarray(self.residual.mean(axis=2, keepdims=True))
        return self.residual


def series(before: Array, after: Array, rounds: int, change: int | None, panel: int, seed: int) -> Series:
    """Passes and failures of streams with these laws, and their paired residuals.

    Args:
        before: Probability of a pass; shape (streams, cases in the order of the rotation).
        after: The same after the change.
        rounds: How many.
        change: The round from which `after` holds; None for streams in control.
        panel: Replies a round.
        seed: Of all chance.
    """
    rng = np.random.default_rng(seed)
    runs = np.full(before.shape, 5.0)
    passes = rng.binomial(5, before).astype(float)
    raw = np.empty((len(before), rounds, panel))
    residual = np.empty_like(raw)
    mean, worth = float(before.mean()), 0.5
    for number in range(rounds):
        cases = (number * panel + np.arange(panel)) % before.shape[1]
        law = after if change is not None and number >= change else before
        replies = (rng.random((len(before), panel)) < law[:, cases]).astype(float)
        raw[:, number] = replies
        residual[:, number] = replies - (passes[:, cases] + worth * mean) / (runs[:, cases] + worth)
        learns = runs[:, cases] < HELD
        passes[:, cases] += np.where(learns, replies, 0.0)
        runs[:, cases] += learns
    return Series(raw=raw, residual=residual)


def first_alarms(rival: Rival, parameter: float, values: Array) -> list[int | None]:
    """For each stream the round (from 1) of its first alarm; None where there is none."""
    return [_first_alarm(rival, parameter, stream) for stream in values]


def _first_alarm(rival: Rival, parameter: float, stream: Array) -> int | None:
    detector = rival.make(parameter, stream.shape[1])
    update = detector.update
    for number, values in enumerate(stream.tolist(), start=1):
        for value in values:
            update(value)
            if detector.drift_detected:
                return number
    return None


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """A rival at the parameter whose run length came nearest the target, and its delays."""

    rival: Rival
    parameter: float
    run_length: Measured
    delays: Mapping[str, Measured]


def calibrated(
    rival: Rival, control: Array, changes: Mapping[str, Array], *, quiet: int, target: float
) -> Calibrated:
    """Searches the parameter on streams in control, then measures the delays.

    Args:
        rival: What.
        control: Streams in control, as the rival sees them.
        changes: Change -> streams that change after `quiet` rounds.
        quiet: Rounds before the change.
        target: The run length aimed at, in rounds.
    """
    control = control[: rival.streams]
    parameter, found = _search(rival, control, target)
    delays = {
        name: delay(first_alarms(rival, parameter, after[: rival.streams * 2]), quiet, after.shape[1])
        for name, after in changes.items()
    }
    return Calibrated(rival=rival, parameter=parameter, run_length=found, delays=delays)


def _search(rival: Rival, control: Array, target: float) -> tuple[float, Measured]:
    scale: tuple[Callable[[float], float], Callable[[float], float]] = (
        (lambda x: float(np.log(x)), lambda x: float(np.exp(x))) if rival.log else (float, float)
    )
    quiet, loud = scale[0](rival.low), scale[0](rival.high)
    at, best = rival.high, run_length(rival, rival.high, control)
    if best.value >= target:
        return at, best  # even at its loudest it alarms less often
    for _ in range(rival.steps):
        middle = (quiet + loud) / 2.0
        found = run_length(rival, scale[1](middle), control)
        if abs(np.log(found.value / target)) < abs(np.log(best.value / target)):
            at, best = scale[1](middle), found
        quiet, loud = (middle, loud) if found.value > target else (quiet, middle)
    return at, best


def run_length(rival: Rival, parameter: float, control: Array) -> Measured:
    """Rounds per alarm with this parameter, each stream watched to its first alarm or its end."""
    found = first_alarms(rival, parameter, control)
    alarms = sum(time is not None for time in found)
    rounds = sum(time if time is not None else control.shape[1] for time in found)
    value = rounds / max(alarms, 1)
    return Measured(value=value, error=value / max(alarms, 1) ** 0.5, n=alarms)


def delay(alarms: Sequence[int | None], quiet: int, rounds: int) -> Measured:
    """Mean rounds from a change after `quiet` rounds to the alarm, over streams that were silent before."""
    found = [
        (time if time is not None else rounds) - quiet for time in alarms if time is None or time > quiet
    ]
    if not found:
        return Measured(value=float("nan"), error=float("nan"), n=0)
    return Measured(value=float(np.mean(found)), error=float(np.std(found) / len(found) ** 0.5), n=len(found))


def job(
    rival: Rival,
    laws: Mapping[str, tuple[Array, Array]],
    *,
    rounds: int,
    quiet: int,
    target: float,
    seed: int,
    panel: int = 20,
) -> Calibrated:
    """Everything about one rival, for one process; `laws` has (before, after) for each change."""
    before = next(iter(laws.values()))[0]
    control = series(before, before, rounds, None, panel, seed).of(rival.watches)
    make = partial(series, rounds=quiet + 400, change=quiet, panel=panel)
    changes = {
        name: make(p, q, seed=seed + n).of(rival.watches)
        for n, (name, (p, q)) in enumerate(laws.items(), start=1)
    }
    return calibrated(rival, control, changes, quiet=quiet, target=target)


def said(one: Calibrated, change: str) -> str:
    """A rival's delay in words."""
    found = one.delays[change]
    return (
        f"{one.rival.name}, {one.rival.watches} {found.value:.1f} ± {found.error:.1f}"
        f" (ARL {one.run_length.value:,.0f})"
    )
