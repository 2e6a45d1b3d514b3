"""What every detector does with a round: checks it, orders it, and turns bets into evidence."""

import math
from collections.abc import Sequence
from operator import attrgetter

from monitor.drift.detector import Observation, Round

#: A Shiryaev-Roberts sum stops growing here; its logarithm (460) is far above every threshold.
CEILING = 1e200

#: The shortest run between false alarms that can be asked for, in rounds: under it blips are alarms.
SHORTEST_RUN = 10.0

#: By how much a Shiryaev-Roberts mixture overshoots its threshold on average, in nats; simulated, and the
#: same from run lengths of 250 to 8,000 rounds.
OVERSHOOT = 0.55

#: Evidence at which a changed stream counts as back: a false return once in 500 rounds at the most.
RETURN_THRESHOLD = math.log(500.0)


_IN_ORDER = attrgetter("case", "value", "role")


def in_order(round: Round, low: float, high: float) -> list[Observation]:
    """The observations in a fixed order, so that the order of arrival changes nothing, not even a last digit.

    Args:
        round: What came in.
        low: The smallest value the measure can have.
        high: The largest.

    Raises:
        ValueError: A value is not finite or lies outside `low`..`high`.
    """
    for observation in round.observations:
        if not low <= observation.value <= high:
            check(observation.case, observation.value, low, high)
    return sorted(round.observations, key=_IN_ORDER)


def check(case: str, value: float, low: float, high: float) -> None:
    """Refuses what no reply can have measured.

    Raises:
        ValueError: The value is not finite or lies outside `low`..`high`.
    """
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"case {case!r}: {value!r} is not a finite number from {low:g} to {high:g}")


def nats(run_length: float) -> float:
    """The logarithm of a run length in rounds: evidence that chance alone reaches at most once in it.

    Raises:
        ValueError: The run length is under `SHORTEST_RUN`.
    """
    if not run_length >= SHORTEST_RUN:
        raise ValueError(f"a run length of {run_length!r} rounds: it must be at least {SHORTEST_RUN:g}")
    return math.log(run_length)


def mixture_threshold(run_length: float) -> float:
    """The threshold of a Shiryaev-Roberts mixture for this run length, in nats.

    Raises:
        ValueError: The run length is under `SHORTEST_RUN`.
    """
    return nats(run_length) - OVERSHOOT


def roll(sums: Sequence[float], log_bets: Sequence[float]) -> tuple[float, ...]:
    """One round of Shiryaev-Roberts: S <- (1 + S) L for each alternative.

    With E L <= 1 while nothing has changed, E S is at most the number of rounds, so that a statistic of h
    is reached once in e^h rounds at the most (Roberts 1966; Shin, Ramdas and Rinaldo: e-detectors).
    """
    top = math.log(CEILING)
    return tuple(math.exp(min(math.log1p(held) + bet, top)) for held, bet in zip(sums, log_bets, strict=True))


def alarming(statistic: float, threshold: float, round: Round) -> bool:
    """Whether the stream alarms: its own part of an alarm and the other streams' reach 1, and it moved itself.

    The own part is exp(statistic - threshold), so that a stream alone alarms at its threshold.
    """
    own = math.exp(min(statistic - threshold, 0.0))
    return own >= round.moved and own + round.pooled >= 1.0


def mixture(sums: Sequence[float]) -> float:
    """The evidence in equally weighted Shiryaev-Roberts sums, in nats; 0 where they hold none."""
    return math.log(max(1.0, math.fsum(sums) / len(sums)))
