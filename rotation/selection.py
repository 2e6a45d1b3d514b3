"""Which cases a round asks: the least recently asked of every stratum, a fifth of them held out."""

import random
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rotation.pool import Exposure, Item, Pool
from rotation.seats import Seats, Stratum, divide, sides, systematic
from rotation.split import HELD_OUT, OPEN, Split

#: When a case's turn comes: (last slot, times asked). Never asked comes before all others.
_Turn = tuple[datetime, int]
_NEVER: _Turn = (datetime.min.replace(tzinfo=UTC), 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pick:
    """A case that the round asks, and the probability (above 0, up to 1) that it was picked; see `select`."""

    key: str
    inclusion: float
    split: Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """The cases that one round asks, in the order of their keys."""

    picks: tuple[Pick, ...]


def select(pool: Pool, exposures: Mapping[str, Exposure], budget: int, rng: random.Random) -> Panel:
    """Draws the panel of one round.

    1. *Split.* Held-out cases get budget / 5 seats: the whole number below it, or by a draw the one above, so
       that a fifth is exact in expectation; fewer or more only where a side has no cases left to fill its
       seats.
    2. *Strata* (first tag, within a split). Each gets its proportional share rounded down, and at most one
       seat more. The seats left over go to the strata whose next case has waited longest. Where these tie, a
       systematic draw decides, with chances that follow the remainders and, in the first pass over the cases,
       what a stratum is behind by. In the first round the expectation is exactly proportional; over a cycle
       the result is.
    3. *Cases.* Within a stratum the least recently asked come first, never-asked ones before all others. Of
       those last asked at the same slot the less often asked come first, and a draw decides among equals.

    `inclusion` is the probability that the case is in the panel, given the pool, the exposures and the budget
    but before any of these draws: the share of its equals that find a seat, averaged over the seats that its
    stratum may get, averaged over the seats that its split may get. It is 1 for a case that had to come; a
    case that still waits for its turn has 0 and is in no panel. So it describes this draw and not the long
    run, in which a case comes in one of (cases of its split) / (seats of its split) rounds.

    A pool that stands still is covered: with H seats sure for a split of N cases, each of them is asked
    within ceil(N / H) + 1 rounds. The panel does not depend on the order in which the pool was given.

    Args:
        pool: The cases to choose from.
        exposures: By key; a missing one means never asked. `last` is the slot, so that the cases of a panel
            tie.
        budget: How many cases to pick; all of them where the pool is no larger.
        rng: Seeded from (endpoint, probe, slot).

    Raises:
        ValueError: The budget is negative.
    """
    if budget < 0:
        raise ValueError(f"a round cannot ask {budget} cases")
    queues: dict[Split, list[_Queue]] = {HELD_OUT: [], OPEN: []}
    for (split, _), items in pool.strata.items():
        queues[split].append(_Queue.of(items, exposures))
    ways = sides(_size(queues[HELD_OUT]), _size(queues[OPEN]), budget)
    way = ways[-1] if len(ways) > 1 and rng.random() < ways[-1].chance else ways[0]
    picks = [
        *_draw(HELD_OUT, queues[HELD_OUT], way.held_out, [(w.chance, w.held_out) for w in ways], rng),
        *_draw(OPEN, queues[OPEN], way.open, [(w.chance, w.open) for w in ways], rng),
    ]
    return Panel(picks=tuple(sorted(picks, key=lambda pick: pick.key)))


@dataclass(frozen=True, slots=True)
class _Queue:
    """A stratum, the next one to ask first; `turns` stands beside `items`."""

    items: Sequence[Item]
    turns: Sequence[_Turn]

    @classmethod
    def of(cls, items: Sequence[Item], exposures: Mapping[str, Exposure]) -> "_Queue":
        turns = [_turn(exposures.get(item.key)) for item in items]
        order = sorted(range(len(items)), key=turns.__getitem__)
        return cls([items[i] for i in order], [turns[i] for i in order])

    @property
    def stratum(self) -> Stratum:
        """What the division of the seats needs to know."""
        unasked = bisect_right(self.turns, _NEVER)
        lasts = [None if i < unasked else turn[0] for i, turn in enumerate(self.turns)]
        return Stratum(size=len(self.items), asked=len(self.items) - unasked, lasts=lasts)

    def equals(self, place: int) -> range:
        """The places of the cases whose turn comes together with that of the one at `place`."""
        turn = self.turns[place]
        return range(bisect_left(self.turns, turn), bisect_right(self.turns, turn))

    def take(self, seats: int, rng: random.Random) -> list[int]:
        """The places of the cases that get the seats."""
        if seats == 0:
            return []
        cut = self.equals(seats - 1)
        return [*range(cut.start), *rng.sample(cut, seats - cut.start)]


def _turn(exposure: Exposure | None) -> _Turn:
    return _NEVER if exposure is None or exposure.last is None else (exposure.last, exposure.asked)


def _size(queues: Sequence[_Queue]) -> int:
    return sum(len(queue.items) for queue in queues)


def _draw(
    split: Split, queues: Sequence[_Queue], seats: int, ways: Sequence[tuple[float, int]], rng: random.Random
) -> list[Pick]:
    """Draws the picks of a split; `ways` are the seats that it might have got, with their chances."""
    if not queues:
        return []
    strata = [queue.stratum for queue in queues]
    plans = {possible: divide(strata, possible) for _, possible in ways}
    extra = systematic([stratum.chance for stratum in plans[seats]], rng)
    picks: list[Pick] = []
    for i, queue in enumerate(queues):
        expected = [(chance, plans[possible][i]) for chance, possible in ways]
        for place in queue.take(plans[seats][i].sure + (i in extra), rng):
            inclusion = _inclusion(queue.equals(place), expected)
            picks.append(Pick(key=queue.items[place].key, inclusion=inclusion, split=split))
    return picks


def _inclusion(equals: range, expected: Sequence[tuple[float, Seats]]) -> float:
    """The probability of a case among its equals, over the seats that its stratum may get."""

    def share(seats: int) -> float:
        return min(max(seats - equals.start, 0), len(equals)) / len(equals)

    found = sum(
        chance * ((1 - seats.chance) * share(seats.sure) + seats.chance * share(seats.sure + 1))
        for chance, seats in expected
    )
    return min(found, 1.0)  # the sum of chances may be a rounding error above 1
