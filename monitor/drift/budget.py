"""One budget of false alarms over everything that alarms, in words; and its plain division among streams."""

import math
from collections.abc import Mapping

from monitor.drift.evidence import SHORTEST_RUN


def run_lengths(streams: Mapping[str, float], at_most: float, per_days: float) -> dict[str, float]:
    """How many rounds each stream must run between its own false alarms if all divide the budget equally.

    Exact for independent streams, and an upper bound for the expected number of false alarms however they
    depend on each other. The daemon shares by `together.allowances`; this is what it is measured against.

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
    positive("at_most", at_most)
    positive("per_days", per_days)
    for stream, rounds in streams.items():
        positive(f"the rounds a day of stream {stream!r}", rounds)
    days = per_days * len(streams) / at_most
    return {stream: max(SHORTEST_RUN, rounds * days) for stream, rounds in streams.items()}


def sentence(
    streams: int,
    endpoints: int,
    at_most: float,
    per_days: float,
    replayed: tuple[float, float, float] | None = None,
) -> str:
    """What the user reads about the budget.

    Args:
        streams: How many share it.
        endpoints: How many endpoints these belong to.
        at_most: False incidents allowed, over all streams.
        per_days: The span that `at_most` is for, in days.
        replayed: False incidents in such a span as replays of the past gave them, with their interval.
    """
    none = math.exp(-at_most)
    one = at_most * none
    days = per_days * endpoints / at_most
    told = ""
    if replayed:
        mean, low, high = replayed
        told = f"; replaying your last {_count(per_days, 'day')} gave {mean:.1f} ({low:.1f} to {high:.1f})"
    return (
        f"Budget: {_count(at_most, 'false incident')} per {_count(per_days, 'day')}, "
        f"over {_count(streams, 'stream')} on {_count(endpoints, 'endpoint')}. "
        f"By chance {_percent(none)} of {_spans(per_days)} have none, {_percent(one)} one, "
        f"{_percent(1.0 - none - one)} more. "
        f"Each endpoint may raise one in {_count(days, 'day')}; "
        "its streams share that, in hours, not in rounds. "
        f"This is an upper figure: signals of one endpoint move together{told}."
    )


def share_sentence(
    probe: str, share: float, run_length: float, days: float, equal_days: float, drop: float = 0.05
) -> str:
    """What the user reads about one stream's share.

    Args:
        probe: How it is called, at the start of the sentence.
        share: Of the endpoint's budget, 0..1.
        run_length: Rounds between its false alarms.
        days: In which it sees the drop.
        equal_days: In which it would with an equal share.
        drop: Of the pool's mean, 0..1.
    """
    return (
        f"{probe}: {share * 100:.1f} % of the budget, one false alarm in {run_length:,.0f} rounds; "
        f"a {drop * 100:g}-point drop is seen in about {days:.0f} days. "
        f"An equal share would make it {equal_days:.0f}."
    )


def added_sentence(streams: int, at: str, rise: float, rounds: float, drop: float = 0.05) -> str:
    """What the user reads when streams were added or taken away.

    Args:
        streams: How many were added; negative where they were taken away.
        at: The time of day.
        rise: By which thresholds rose on average, in nats; see `together.rise`.
        rounds: What that costs on the drop.
        drop: Of the pool's mean, 0..1.
    """
    what = f"{_count(abs(streams), 'stream')} {'added' if streams >= 0 else 'removed'}"
    moved = "rose" if rise >= 0.0 else "fell"
    return (
        f"{what} at {at}: every threshold {moved} by {abs(rise):.2f}, "
        f"about {abs(rounds):.1f} rounds on a {drop * 100:g}-point drop."
    )


def positive(name: str, value: float) -> None:
    """Refuses what is no positive, finite number.

    Raises:
        ValueError: Names it.
    """
    if not (math.isfinite(value) and value > 0.0):
        raise ValueError(f"{name} is {value!r}; it must be a positive number")


def _spans(days: float) -> str:
    return "months" if days == 30.0 else "such spans"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _count(number: float, noun: str) -> str:
    shown = f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
    return f"{shown} {noun}" if number == 1 else f"{shown} {noun}s"
