"""One stream, watched as the daemon watches it: rotation, re-asks, bursts, learning and refits."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.detection.worlds import World
from monitor.drift.detector import (
    CaseReference,
    Detector,
    Observation,
    Reference,
    Role,
    Round,
    State,
    Step,
    Verdict,
)
from monitor.drift.replay import RESIDUALS_HELD

START = datetime(2026, 1, 1, tzinfo=UTC)
EVERY = timedelta(minutes=15)

#: A run length at which nothing alarms: the evidence is recorded, and any threshold can be tried on it later.
NEVER = 1e150

#: How often an unlikely reply is asked again, and the cases of a burst per case of a round.
REASKS, BURST = 2, 2


@dataclass(kw_only=True)
class Stream:
    """One stream of one endpoint.

    Attributes:
        detector: What judges it.
        world: What replies.
        rng: All chance in it.
        panel: Cases a round.
        reasks: Whether unlikely replies are asked again.
        bursts: Whether rounds grow when the evidence does.
        categories: How many the cases belong to, in turns; 0 for none.
        read: What is recorded of a step: by default the evidence of its verdict.
    """

    detector: Detector
    world: World
    rng: random.Random
    panel: int
    reasks: bool = True
    bursts: bool = True
    categories: int = 0
    read: Callable[[Step], float] = field(default=lambda step: step.verdict.evidence)
    prior: Mapping[str, float] = field(default_factory=dict)
    cases: dict[str, CaseReference] = field(default_factory=dict)
    residuals: tuple[float, ...] = ()
    state: State = field(default_factory=dict)
    number: int = 0
    asked: int = 0
    replies: int = 0
    pending: list[tuple[int, float]] = field(default_factory=list)
    burst: bool = False
    last: Step | None = None
    observed: Callable[[int, float, Role], Observation] = field(init=False)

    def __post_init__(self) -> None:
        self.panel = min(self.panel, self.world.size)
        self.observed = _Observed(self.categories)

    def capture(self, runs: int) -> None:
        """Asks every case so many times and fits the baseline."""
        values: dict[str, list[float]] = {name(case): [] for case in range(self.world.size)}
        for _ in range(runs):
            self.world.begin()
            for case in range(self.world.size):
                values[name(case)].append(self.world.reply(case))
        fitted = self.detector.fit(values)
        self.prior, self.cases, self.residuals = fitted.prior, dict(fitted.cases), tuple(fitted.residuals)
        self.state = self.detector.start()

    @property
    def reference(self) -> Reference:
        """What the stream is compared with now."""
        return Reference(prior=self.prior, cases=self.cases, residuals=self.residuals)

    def fork(self, change: Callable[[World], World] | None = None) -> "Stream":
        """The same stream from here on, in a world of its own."""
        world = replace(self.world) if change is None else change(self.world)  # type: ignore[type-var]
        twin = replace(self, world=world, cases=dict(self.cases), pending=list(self.pending))
        twin.observed = self.observed
        return twin

    def observations(self) -> list[Observation]:
        """Asks one round: the cases in turn, those of a burst, and unlikely replies of the last round again."""
        self.world.begin()
        size, reply, observed = self.world.size, self.world.reply, self.observed
        found = []
        for case, first in self.pending:
            found += [observed(case, value, Role.REASK) for value in self.world.again(case, first)]
        self.pending = []
        ahead = self.panel * (1 + BURST) if self.burst else self.panel
        for turn in range(ahead):
            case = (self.asked + turn) % size
            role = Role.REGULAR if turn < self.panel else Role.BURST
            found.append(observed(case, reply(case), role))
        self.asked = (self.asked + self.panel) % size
        self.replies = len(found)
        return found

    def step(
        self, run_length: float = NEVER, *, correction: float = 0.0, pooled: float = 0.0, moved: float = 1.0
    ) -> Verdict:
        """One round, judged and learnt."""
        observations = self.observations()
        self.number += 1
        round = Round(
            at=START + self.number * EVERY,
            observations=observations,
            run_length=run_length,
            rng=self.rng,
            correction=correction,
            pooled=pooled,
            moved=moved,
        )
        step = self.detector.update(self.state, self.reference, round)
        self.apply(step, observations)
        return step.verdict

    def apply(self, step: Step, observations: Sequence[Observation]) -> None:
        """What the daemon stores after a step, and asks for next."""
        self.last, self.state = step, step.state
        self.cases.update(step.learned)
        if step.residuals and len(self.residuals) < RESIDUALS_HELD:
            self.residuals = (*self.residuals, *step.residuals)[:RESIDUALS_HELD]
        if step.refit:
            refit: Any = self.detector
            self.prior = refit.refit(self.reference)
        self.burst = step.burst and self.bursts
        if step.again and self.reasks:
            again = set(step.again)
            first = {one.case: one.value for one in observations if one.case in again}
            self.pending = [(number(case), value) for case, value in first.items()]

    def evidence(self) -> float:
        """One round, and what is recorded of it, in nats."""
        self.step()
        assert self.last is not None
        return self.read(self.last)

    def threshold(self, run_length: float) -> float:
        """The product's own threshold for this run length, in nats (by the law)."""
        empty = Round(at=START, observations=[], run_length=run_length, rng=random.Random(0))
        return self.detector.update(self.state, self.reference, empty).verdict.threshold


class _Observed:
    """Makes observations; passes and failures of a case are made once, for they are frozen."""

    def __init__(self, categories: int) -> None:
        self.categories = categories
        self.made: dict[tuple[int, float, str], Observation] = {}

    def __call__(self, case: int, value: float, role: Role) -> Observation:
        key = (case, value, role.value)
        one = self.made.get(key)
        if one is None:
            slices = (f"category-{case % self.categories}",) if self.categories else ()
            one = Observation(case=name(case), value=value, role=role, slices=slices)
            if value in (0.0, 1.0):
                self.made[key] = one
        return one


def name(case: int) -> str:
    """The key of a case."""
    return f"case-{case:04d}"


def number(key: str) -> int:
    """The case of a key."""
    return int(key[5:])


def runs_of_capture(size: int, least: int) -> int:
    """Runs of each case at the capture: until 100 replies are in, or `least` runs a case, whichever is more."""
    return max(least, math.ceil(100 / size))
