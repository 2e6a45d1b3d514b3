"""Endpoints with known laws: what they reply in control, and after each kind of change."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from bench.detection import pools


class World(Protocol):
    """One simulated endpoint, as one stream of measures sees it."""

    @property
    def size(self) -> int:
        """How many cases there are."""

    def begin(self) -> None:
        """A round begins."""

    def reply(self, case: int) -> float:
        """The value of one fresh reply."""

    def again(self, case: int, first: float) -> list[float]:
        """The values of two more replies to a case that has just been asked."""


#: Makes the world after a change out of the world before it.
Change = Callable[[World], World]


@dataclass(kw_only=True)
class Scores:
    """Passes and failures; `p` is the probability of a pass of each case.

    Attributes:
        repeat: Share of re-asks that repeat the first reply for reasons of their own (a cache, a replica).
        path: Pools of the rounds to come, until the last stays; for changes that come on slowly.
    """

    rng: random.Random
    p: Sequence[float]
    repeat: float = 0.0
    path: list[list[float]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.p)

    def begin(self) -> None:
        if self.path:
            self.p = self.path.pop(0)

    def reply(self, case: int) -> float:
        return 1.0 if self.rng.random() < self.p[case] else 0.0

    def again(self, case: int, first: float) -> list[float]:
        if self.repeat and self.rng.random() < self.repeat:
            return [first, first]
        return [self.reply(case), self.reply(case)]


@dataclass(kw_only=True)
class Graded:
    """Scores in 0..1 around the mean of each case."""

    rng: random.Random
    mean: Sequence[float]
    sd: float = 0.15

    @property
    def size(self) -> int:
        return len(self.mean)

    def begin(self) -> None:
        pass

    def reply(self, case: int) -> float:
        return min(1.0, max(0.0, self.mean[case] + self.sd * self.rng.gauss()))

    def again(self, case: int, first: float) -> list[float]:
        return [self.reply(case), self.reply(case)]


@dataclass(kw_only=True)
class Latency:
    """Log-normal seconds.

    Attributes:
        tails: "normal" or "t3" (Student's t with three degrees of freedom, scaled to the same sd).
        load: Standard deviation of the load that all replies of a round share.
        memory: Autocorrelation of that load from round to round.
        slower: Factor on every reply.
        slow_share: Share of replies that take three times as long.
    """

    rng: random.Random
    levels: Sequence[float]
    sd: float = pools.REPLY_SD
    tails: str = "normal"
    load: float = 0.0
    memory: float = 0.8
    slower: float = 1.0
    slow_share: float = 0.0
    now: float = 0.0

    @property
    def size(self) -> int:
        return len(self.levels)

    def begin(self) -> None:
        if self.load:
            fresh = self.load * math.sqrt(1.0 - self.memory**2)
            self.now = self.memory * self.now + fresh * self.rng.gauss()

    def reply(self, case: int) -> float:
        factor = self.slower
        if self.slow_share and self.rng.random() < self.slow_share:
            factor *= 3.0
        return factor * math.exp(self.levels[case] + self.now + self.sd * self._noise())

    def _noise(self) -> float:
        z = self.rng.gauss()
        if self.tails == "normal":
            return z
        return z / math.sqrt(self.rng.gammavariate(1.5, 2.0))  # t3 over its sd, sqrt(3)

    def again(self, case: int, first: float) -> list[float]:
        return [self.reply(case), self.reply(case)]


def ability(world: World, points: float) -> World:
    """All cases fall (or rise) by a common shift in logit."""
    assert isinstance(world, Scores)
    return replace(world, p=pools.moved(world.p, points), path=[])


def failing(world: World, share: float) -> World:
    """Any answer fails with this probability."""
    assert isinstance(world, Scores)
    return replace(world, p=[p * (1.0 - share) for p in world.p], path=[])


def points_failing(world: World, points: float) -> World:
    """Any answer fails, with the probability that lowers the mean by `points`."""
    assert isinstance(world, Scores)
    return failing(world, points / (sum(world.p) / len(world.p)))


def category(world: World, points: float) -> World:
    """One case in ten carries the whole drop: those whose number ends in 0 (of a pool in random order)."""
    assert isinstance(world, Scores)
    p = list(world.p)
    theirs = range(0, len(p), 10)
    fallen = pools.moved([p[case] for case in theirs], -points * len(p) / len(theirs))
    for case, q in zip(theirs, fallen, strict=True):
        p[case] = q
    return replace(world, p=p, path=[])


def churn(world: World, share: float) -> World:
    """This share of the cases swap their laws among each other; the mean stays exactly."""
    assert isinstance(world, Scores)
    p = list(world.p)
    some = world.rng.sample(range(len(p)), round(share * len(p)))
    turned = some[:]
    world.rng.shuffle(turned)
    for case, other in zip(some, turned, strict=True):
        p[case] = world.p[other]
    return replace(world, p=p, path=[])


def ramp(world: World, points: float, rounds: int = 50) -> World:
    """The fall in ability comes on evenly over so many rounds."""
    assert isinstance(world, Scores)
    path = [pools.moved(world.p, points * n / rounds) for n in range(1, rounds + 1)]
    return replace(world, path=path)


def worse_graded(world: World, points: float) -> World:
    """Every case's mean score falls by so much."""
    assert isinstance(world, Graded)
    return replace(world, mean=[mean - points for mean in world.mean])


def slower(world: World, factor: float) -> World:
    """Every reply takes this much longer."""
    assert isinstance(world, Latency)
    return replace(world, slower=factor)


def some_slow(world: World, share: float) -> World:
    """This share of the replies takes three times as long."""
    assert isinstance(world, Latency)
    return replace(world, slow_share=share)


def wider(world: World, sd: float) -> World:
    """The same middle, but replies vary more."""
    assert isinstance(world, Latency)
    return replace(world, sd=sd)
