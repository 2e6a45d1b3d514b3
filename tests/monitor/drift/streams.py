"""Simulated endpoints: pools of cases with known laws, watched round by round as the daemon does it."""

import math
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from monitor.drift.detector import Detector, Observation, Reference, Role, Round, State, Verdict, VerdictKind
from monitor.drift.replay import apply, refitted

START = datetime(2026, 1, 1, tzinfo=UTC)
EVERY = timedelta(minutes=15)

Draw = Callable[[random.Random, float], float]


def passes(rng: random.Random, p: float) -> float:
    """1 with probability p, else 0."""
    return 1.0 if rng.random() < p else 0.0


def seconds(rng: random.Random, level: float) -> float:
    """A log-normal latency, sd .35 around the case's level."""
    return math.exp(rng.gauss(level, 0.35))


def main_pool(rng: random.Random, size: int = 500) -> list[float]:
    """The pool of the detection tables: Beta, mean .8, concentration .5, clipped to .02 and .98."""
    return [min(0.98, max(0.02, rng.betavariate(0.4, 0.1))) for _ in range(size)]


def latency_pool(rng: random.Random, size: int = 500) -> list[float]:
    return [rng.gauss(0.0, 0.5) for _ in range(size)]


def less_able(pool: Sequence[float], drop: float) -> list[float]:
    """The pool after a common fall in logit that lowers its mean by `drop`."""
    low, high = 0.0, 12.0
    for _ in range(40):
        shift = (low + high) / 2.0
        fallen = [p / (p + (1.0 - p) * math.exp(shift)) for p in pool]
        low, high = (shift, high) if sum(fallen) > sum(pool) - drop * len(pool) else (low, shift)
    return fallen


class Stream:
    """One stream of one simulated endpoint; panels rotate through the pool in random order.

    Cases that the detector wants to hear again are asked twice more in the next round, and bursts where wanted.
    """

    def __init__(
        self,
        detector: Detector,
        pool: Sequence[float],
        rng: random.Random,
        *,
        draw: Draw,
        runs: int,
        panel: int = 20,
        run_length: float = 500.0,
        bursts: bool = False,
        slices: Callable[[int], tuple[str, ...]] = lambda case: (),
    ) -> None:
        self.detector = detector
        self.pool = list(pool)
        self.rng = rng
        self.draw = draw
        self.panel = min(panel, len(pool))
        self.run_length = run_length
        self.bursts = bursts
        self.slices = slices
        self.order: list[int] = []
        self.asked = 0
        self.again: list[int] = []
        self.burst = False
        self.reference: Reference = detector.fit(
            {name(case): [draw(rng, law) for _ in range(runs)] for case, law in enumerate(pool)}
        )
        self.state: State = detector.start()

    def round(self) -> Round:
        observations = [self.ask(case, Role.REASK) for case in self.again for _ in range(2)]
        if self.burst:
            observations += [self.ask(case, Role.BURST) for case in self.order[-3 * self.panel : -self.panel]]
        for _ in range(self.panel):
            if not self.order:
                self.order = list(range(len(self.pool)))
                self.rng.shuffle(self.order)
            observations.append(self.ask(self.order.pop()))
        self.asked += 1
        return Round(
            at=START + self.asked * EVERY,
            observations=observations,
            run_length=self.run_length,
            rng=random.Random(self.rng.getrandbits(32)),
        )

    def ask(self, case: int, role: Role = Role.REGULAR) -> Observation:
        value = self.draw(self.rng, self.pool[case])
        return Observation(case=name(case), value=value, role=role, slices=self.slices(case))

    def step(self) -> Verdict:
        return self.take(self.round())

    def take(self, round: Round) -> Verdict:
        step = self.detector.update(self.state, self.reference, round)
        self.state = step.state
        self.reference = refitted(self.detector, apply(self.reference, step), step)
        self.again = [number(case) for case in step.again]
        self.burst = self.bursts and step.burst
        return step.verdict

    def rounds_until(self, kind: VerdictKind, at_most: int) -> int | None:
        """How many rounds it takes to say so; None if it takes more."""
        for number in range(1, at_most + 1):
            if self.step().kind is kind:
                return number
        return None


def name(case: int) -> str:
    return f"case-{case:04d}"


def number(case: str) -> int:
    return int(case.removeprefix("case-"))


def realised_run_length(make: Callable[[random.Random], Stream], streams: int, at_most: int) -> float:
    """Rounds per false alarm over fresh streams, each watched to its first alarm or `at_most` rounds."""
    rounds = alarms = 0
    for seed in range(streams):
        alarm = make(random.Random(seed)).rounds_until(VerdictKind.CHANGED, at_most)
        rounds += alarm or at_most
        alarms += alarm is not None
    return rounds / max(alarms, 1)


def delays(
    make: Callable[[random.Random], Stream],
    worsen: Callable[[list[float]], list[float]],
    *,
    streams: int,
    quiet: int = 40,
    at_most: int = 200,
) -> list[int]:
    """Rounds from a change to its alarm, for the streams that raised none before it; sorted."""
    found = []
    for seed in range(streams):
        stream = make(random.Random(seed))
        if stream.rounds_until(VerdictKind.CHANGED, quiet) is None:
            stream.pool = worsen(stream.pool)
            found.append(stream.rounds_until(VerdictKind.CHANGED, at_most) or at_most)
    return sorted(found)
