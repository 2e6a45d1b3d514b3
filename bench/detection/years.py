"""200 simulated years of one endpoint with the five alarming measures, on one budget.

A round every eight hours instead of every quarter of an hour, so that it can be simulated: thresholds follow the run
length in rounds by its logarithm, and the law has the same slope from 250 rounds up. The streams live as in the daemon,
through the `Detector` protocol: they alarm, are changed, return by themselves, and learn in between; an incident stays
one until all of them have been steady for a day. They are independent of each other, which spends most of the budget.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from bench.detection import engines, pools, worlds
from bench.detection.arl import Measured
from bench.detection.effort import Effort
from bench.detection.line import Line, within
from bench.detection.runner import Stream
from bench.detection.trial import Workers
from monitor.drift.detector import Verdict, VerdictKind
from monitor.drift.together import Stream as Shared
from monitor.drift.together import allowances, pooled

MEASURES = ("score", "latency", "time to first token", "output tokens", "errors")
ROUNDS_A_DAY = 3
DAYS_BETWEEN = 30.0
CASES = 200

#: Endpoints that the years are spread over; each has a capture of its own.
LIVES = 40

#: Share of requests that fail in control.
ERRORS = 0.01

#: Information of the design change of each measure, nats a round.
INFORMATION = (0.37, 2.0, 2.0, 2.0, 0.37)


@dataclass(frozen=True, kw_only=True)
class Life:
    """What one endpoint went through in control."""

    incidents: int
    days: float


def _streams(rng: random.Random) -> list[Stream]:
    made = []
    for measure in MEASURES:
        if measure == "score":
            world: worlds.World = worlds.Scores(rng=rng, p=pools.main(rng, CASES))
            detector = engines.score()
        elif measure == "errors":
            world = worlds.Scores(rng=rng, p=[ERRORS] * CASES)
            detector = engines.failures()
        else:
            world = worlds.Latency(rng=rng, levels=pools.levels(rng, CASES))
            detector = engines.ranks()
        one = Stream(detector=detector, world=world, rng=rng, panel=pools.PANEL)
        one.capture(pools.RUNS)
        made.append(one)
    return made


def live(seed: int, days: float) -> Life:
    """One endpoint in control for so many days, its incidents counted."""
    streams = _streams(random.Random(seed))
    allowed = list(
        allowances(
            {
                measure: Shared(endpoint="one", rounds_per_day=ROUNDS_A_DAY, information=information)
                for measure, information in zip(MEASURES, INFORMATION, strict=True)
            },
            at_most=1.0,
            per_days=DAYS_BETWEEN,
        ).values()
    )
    last = [Verdict(kind=VerdictKind.LEARNING)] * len(streams)
    incidents, steady = 0, ROUNDS_A_DAY
    for _ in range(round(days * ROUNDS_A_DAY)):
        for n, (stream, own) in enumerate(zip(streams, allowed, strict=True)):
            others = pooled(verdict for other, verdict in enumerate(last) if other != n)
            last[n] = stream.step(own.run_length, pooled=others, moved=own.moved)
        changed = any(verdict.kind is VerdictKind.CHANGED and verdict.direction != "up" for verdict in last)
        incidents += changed and steady >= ROUNDS_A_DAY
        steady = 0 if changed else steady + 1
    return Life(incidents=incidents, days=days)


def rows(workers: Workers, effort: Effort, seed: int) -> Iterator[Line]:
    """Realised over stated: rounds between false incidents over those that the budget allows."""
    if not effort.years:
        return
    days = effort.years * 365.0 / LIVES
    found = workers.map(partial(live, days=days), range(seed, seed + LIVES))
    incidents = sum(life.incidents for life in found)
    ratio = sum(life.days for life in found) / max(incidents, 1) / DAYS_BETWEEN
    yield Line(
        case=f"{effort.years:.0f} years of five measures, a round every 8 h",
        ours=Measured(value=ratio, error=ratio / max(incidents, 1) ** 0.5, n=incidents),
        unit="r/s",
        seed=seed,
        note=f"{incidents} false incidents, {LIVES} captures",
        bars=within((0.75, 1.4), (0.9, 1.2)),
    )
