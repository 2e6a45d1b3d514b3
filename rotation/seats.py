"""How a round's seats are divided: between the splits, and within a split among its strata."""

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, groupby

#: One seat in so many is for a held-out case.
HELD_OUT_EVERY = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Sides:
    """One way to divide a budget between the splits, and its chance."""

    chance: float
    held_out: int
    open: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Stratum:
    """What the division needs to know of a stratum.

    Attributes:
        size: How many cases it has.
        asked: How many of them were asked at least once.
        lasts: When each was last asked, the longest ago first; None for never, before all others.
    """

    size: int
    asked: int
    lasts: Sequence[datetime | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Seats:
    """The seats of a stratum: those it surely gets, and its chance of one more."""

    sure: int
    chance: float = 0.0


def sides(held_out: int, open_: int, budget: int) -> list[Sides]:
    """One way, or two where a fifth of the budget is no whole number; no side gets more than its cases.

    Args:
        held_out: How many cases are held out.
        open_: How many are open.
        budget: How many seats there are; with more seats than cases, some stay empty.
    """
    budget = min(budget, held_out + open_)
    sure, rest = divmod(budget, HELD_OUT_EVERY)
    low, high = (min(max(seats, budget - open_), held_out) for seats in (sure, sure + 1))
    if low == high or rest == 0:
        return [Sides(chance=1.0, held_out=low, open=budget - low)]
    chance = rest / HELD_OUT_EVERY
    return [
        Sides(chance=1 - chance, held_out=low, open=budget - low),
        Sides(chance=chance, held_out=high, open=budget - high),
    ]


def divide(strata: Sequence[Stratum], seats: int) -> list[Seats]:
    """Divides the seats of a split among its strata in proportion to their sizes.

    Each gets its share rounded down. The seats left over go to the strata whose next case has waited longest,
    at most one to each; where these tie, each has a chance. The chances of all strata add up to the seats
    left over.

    Args:
        strata: The strata of the split.
        seats: At most as many as they have cases.
    """
    total = sum(stratum.size for stratum in strata)
    shares = [divmod(seats * stratum.size, total) for stratum in strata]
    chances = [0.0] * len(strata)
    left = seats - sum(sure for sure, _ in shares)
    contenders = [(strata[i].lasts[sure], i) for i, (sure, rest) in enumerate(shares) if rest]
    contenders.sort(key=lambda contender: (contender[0] is not None, contender[0]))
    for last, group in groupby(contenders, key=lambda contender: contender[0]):
        tied = [i for _, i in group]
        wants = [shares[i][1] / total for i in tied]
        if last is None:  # a first pass has no earlier one to repeat, so it counts what each is behind by
            asked = sum(stratum.asked for stratum in strata)
            behind = (asked * strata[i].size / total - strata[i].asked for i in tied)
            wants = [want + lag for want, lag in zip(wants, behind, strict=True)]
        for i, chance in zip(tied, _fill(wants, min(left, len(tied))), strict=True):
            chances[i] = chance
        left -= min(left, len(tied))
    return [Seats(sure=sure, chance=chance) for (sure, _), chance in zip(shares, chances, strict=True)]


def _fill(wants: Sequence[float], seats: int) -> list[float]:
    """Chances in 0..1 that add up to the seats, each as much above or below what is wanted."""
    if seats in (0, len(wants)):
        return [float(seats > 0)] * len(wants)
    turns = sorted([(-want, 1) for want in wants] + [(1 - want, -1) for want in wants])
    shift, filled, slope = turns[0][0], 0.0, 0
    for turn, change in turns:  # between two turns the sum of the chances is linear in the shift
        gain = slope * (turn - shift)
        if gain > 0 and filled + gain >= seats:
            shift += (seats - filled) / slope
            break
        filled, shift, slope = filled + gain, turn, slope + change
    return [min(max(want + shift, 0.0), 1.0) for want in wants]


def systematic(chances: Sequence[float], rng: random.Random) -> set[int]:
    """Draws as many places as the chances add up to (a whole number); each has exactly its chance."""
    possible = [place for place, chance in enumerate(chances) if chance > 0.0]
    ends = list(accumulate(chances[place] for place in possible))
    seats = round(ends[-1]) if ends else 0
    start = rng.random()
    drawn: list[int] = []
    for seat in range(seats):
        place = bisect_right(ends, start + seat)
        # The sums are floats: a rounding error must neither seat anyone twice nor lose a seat.
        drawn.append(min(max(place, drawn[-1] + 1 if drawn else 0), len(ends) - seats + seat))
    return {possible[place] for place in drawn}
