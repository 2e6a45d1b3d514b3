"""One budget of false alarms over everything that alarms, and what it means in words."""

import math
from collections.abc import Mapping

from monitor.drift.evidence import SHORTEST_RUN


def run_lengths(streams: Mapping[str, float], at_most: float, per_days: float) -> dict[str, float]:
    """How many rounds each stream must run, on average, between its own false alarms.

    The budget is divided by the number of streams: exact for independent ones, and an upper bound for the
    expected number of false alarms however they depend on each other.

    Args:
        streams: Stream -> its rounds a day.
        at_most: False alarms allowed, over all streams.
        per_days: The span that `at_most` is for, in days.

    Returns:
        Stream -> run length in its own rounds; never under `SHORTEST_RUN`, which is where a budget that
        is too generous ends.

    Raises:
        ValueError: A number is not positive and finite; names the stream.
    """
    _positive("at_most", at_most)
    _positive("per_days", per_days)
    for stream, rounds in streams.items():
        _positive(f"the rounds a day of stream {stream!r}", rounds)
    days = days_between(len(streams), at_most, per_days)
    return {stream: max(SHORTEST_RUN, rounds * days) for stream, rounds in streams.items()}


def days_between(streams: int, at_most: float, per_days: float) -> float:
    """Days between the false alarms of one of so many streams."""
    return per_days * streams / at_most


def sentence(streams: int, endpoints: int, at_most: float, per_days: float) -> str:
    """What the user reads about the budget.

    Args:
        streams: How many share it.
        endpoints: How many endpoints these belong to.
        at_most: False alarms allowed, over all streams.
        per_days: The span that `at_most` is for, in days.
    """
    none = math.exp(-at_most)
    one = at_most * none
    spans = "months" if per_days == 30.0 else "such spans"
    days = days_between(streams, at_most, per_days)
    return (
        f"Budget: {_count(at_most, 'false incident')} per {_count(per_days, 'day')}, "
        f"over {_count(streams, 'stream')} on {_count(endpoints, 'endpoint')}. "
        f"By chance {none:.0%} of {spans} have none, {one:.0%} one, {1.0 - none - one:.0%} more. "
        f"Each stream may raise one in {_count(days, 'day')}, counted in its own rounds. "
        "This is an upper figure: signals of one endpoint move together."
    ).replace("%", " %")


def _count(number: float, noun: str) -> str:
    shown = f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
    return f"{shown} {noun}" if number == 1 else f"{shown} {noun}s"


def _positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0.0):
        raise ValueError(f"{name} is {value!r}; it must be a positive number")
