"""Rows of latency: slower replies, and the run lengths of captures of all sizes, tails and loads."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from bench.detection import arl, engines, pools, worlds
from bench.detection.arl import Measured
from bench.detection.effort import MATCHED, Effort
from bench.detection.line import Bars, Line, at_least, at_most, within
from bench.detection.optimum import Array, Continuous
from bench.detection.optimum import delay as optimal_delay
from bench.detection.ranked import Law, Ranked, captured, rolled
from bench.detection.runner import Stream
from bench.detection.trial import AT_MOST, ENOUGH, Changed, Record, Trials, Workers
from monitor.drift.bets import LAWS
from monitor.drift.calibrate import HISTORY_NEEDED, own_history
from monitor.drift.evidence import nats
from monitor.drift.ranks import OVERSHOOT
from monitor.drift.thresholds import Thresholds

SLOW_SHARE, WIDE = 0.083, 0.59

CHANGES: Mapping[str, Law] = {
    "latency x1.3": Law(slower=1.3),
    "8.3 % of calls x3": Law(slow_share=SLOW_SHARE),
    "wider spread (.35 to .59)": Law(sd=WIDE),
}

#: Cases and runs of the captures whose run lengths are measured.
CAPTURES = ((5, 3), (20, 3), (100, 3))

#: The load that all replies of a round share: its standard deviation, in logs; its autocorrelation is .8.
LOAD = 0.1

#: Streams of one batch.
BATCH = 25


def stream(rng: random.Random) -> Stream:
    """A stream of latencies, watched through the protocol, whose capture is done."""
    world = worlds.Latency(rng=rng, levels=pools.levels(rng, pools.SIZE))
    one = Stream(detector=engines.ranks(), world=world, rng=rng, panel=pools.PANEL)
    one.capture(pools.RUNS)
    return one


@dataclass(frozen=True, kw_only=True)
class LatencyTrial:
    """What is simulated.

    Attributes:
        law: In control.
        size: Cases.
        runs: Of each at the capture.
        rounds: In control.
        changes: Name -> law after `quiet` rounds.
        quiet: Rounds before the changes.
        learnt: Rounds in control before all that, from which each stream takes its threshold; 0 for the law's.
    """

    law: Law = field(default_factory=Law)
    size: int = pools.SIZE
    runs: int = pools.RUNS
    rounds: int
    changes: Mapping[str, Law] = field(default_factory=dict)
    quiet: int = 200
    learnt: int = 0


def record(trial: LatencyTrial, given: tuple[int, int]) -> list[Record]:
    """Simulates one batch, given its first seed and its streams.

    Evidence is that above the stream's own threshold, plus the law's: where the own history sets it, a path reaches
    the law's threshold when the stream alarms.
    """
    seed, count = given
    rngs = [np.random.default_rng(seed + n) for n in range(count)]
    streams = [captured(rng, trial.law, size=trial.size, runs=trial.runs) for rng in rngs]
    law = nats(MATCHED) - OVERSHOOT
    own = np.array([_own(one, trial.learnt, rng, law) for one, rng in zip(streams, rngs, strict=True)])
    start = np.zeros((count, len(LAWS)))
    before, sums = _evidence(streams, trial.quiet, start)
    changed = {
        name: _after([one.fork(after) for one in streams], sums, law - own)
        for name, after in trial.changes.items()
    }
    later, _ = _evidence(streams, trial.rounds - trial.quiet, sums)
    whole = arl.paths_of(np.concatenate((before, later)) + law - own)
    quiet = arl.paths_of(before + law - own)
    return [
        Record(
            control=whole[n],
            quiet=quiet[n],
            replies=float(streams[n].panel),
            law=law,
            changed={name: found[n] for name, found in changed.items()},
        )
        for n in range(count)
    ]


def _own(stream: Ranked, rounds: int, rng: np.random.Generator, law: float) -> float:
    """The stream's threshold: by its own history where that is learnt first, else by the law."""
    law += OVERSHOOT - stream.overshoot
    if not rounds:
        return law
    bets = stream.bets(rounds)
    judged = bets[~np.isnan(bets[:, 0])]
    history = own_history(judged, np.full(len(LAWS), 1.0 / len(LAWS)), rng, MATCHED)
    return Thresholds(law=law, history=history, rounds=len(judged)).used


def _evidence(streams: Sequence[Ranked], rounds: int, sums: Array) -> tuple[Array, Array]:
    return rolled(np.stack([one.bets(rounds) for one in streams], axis=1), sums)


def _after(streams: Sequence[Ranked], sums: Array, shift: Array) -> list[Changed]:
    found: list[Array] = []
    highest = np.zeros(len(streams))
    while 20 * len(found) < AT_MOST and (highest < ENOUGH).any():
        evidence, sums = _evidence(streams, 20, sums)
        found.append(evidence + shift)
        highest = np.maximum(highest, found[-1].max(axis=0))
    return [
        Changed(path=path, replies=[stream.panel * time for time in (*path.times, path.rounds)])
        for path, stream in zip(arl.paths_of(np.concatenate(found)), streams, strict=True)
    ]


def trials(workers: Workers, trial: LatencyTrial, seed: int, streams: int) -> Trials:
    """Records so many streams."""
    given = [(seed + first, min(BATCH, streams - first)) for first in range(0, streams, BATCH)]
    found = workers.map(partial(record, trial), given)
    return Trials(records=[one for batch in found for one in batch])


def slower(workers: Workers, effort: Effort, seed: int) -> Iterator[Line]:
    """Three ways in which p95 rises by 30 %."""
    found = trials(workers, LatencyTrial(rounds=effort.rounds, changes=CHANGES), seed, effort.control)
    bars = (at_most(2.5, 2.2), at_most(5.5, 4.2), at_most(5, 3.8))
    for (change, bar), law in zip(zip(CHANGES, bars, strict=True), LIMITS, strict=True):
        yield _line(found, change, change, seed, optimum=limit(effort, seed, law), bars=bar)
    yield _ratio(found, "latency r/s: 500 cases x 5 runs", seed, bars=within((0.5, 1.5), (0.7, 1.2)))


def ratios(workers: Workers, effort: Effort, seed: int) -> Iterator[Line]:
    """Small captures, heavy tails, and a load that drifts slowly."""
    for n, (size, runs) in enumerate(CAPTURES):
        at = seed + n * 1000
        trial = LatencyTrial(size=size, runs=runs, rounds=effort.ratio_rounds)
        found = trials(workers, trial, at, effort.ratio)
        yield _ratio(found, f"latency r/s: {size} cases x {runs}", at, bars=within((0.5, 1.5), (0.7, 1.2)))
    trial = LatencyTrial(law=Law(tails="t3"), rounds=effort.ratio_rounds)
    found = trials(workers, trial, seed + 5000, effort.ratio)
    yield _ratio(found, "latency r/s: t3 noise", seed + 5000, bars=at_least(0.75, 0.9))
    loaded = Law(load=LOAD)
    trial = LatencyTrial(
        law=loaded,
        rounds=effort.ratio_rounds,
        changes={"x1.3": replace(loaded, slower=1.3)},
        learnt=HISTORY_NEEDED,
    )
    found = trials(workers, trial, seed + 6000, effort.ratio)
    what = "latency, AR(1) load, own history"
    yield _ratio(found, f"{what}: r/s", seed + 6000, bars=at_least(0.75, 0.9))
    yield Line(
        case=f"{what}: x1.3",
        ours=found.delay("x1.3", found.records[0].law),
        unit="rounds",
        seed=seed + 6000,
        bars=at_most(14, 11),
        note="each stream at its own threshold; must is the 14 rounds of the measured tables",
    )


def _line(trials: Trials, change: str, case: str, seed: int, optimum: Measured, bars: Bars) -> Line:
    height = trials.height(MATCHED)
    note = f"h {height:.2f} (law {trials.records[0].law:.2f})"
    if missed := trials.missed(change, height):
        note += f", {missed:.1%} not within 500 rounds"
    return Line(
        case=case,
        ours=trials.delay(change, height),
        unit="rounds",
        seed=seed,
        note=note,
        optimum=optimum,
        bars=bars,
    )


def _ratio(trials: Trials, case: str, seed: int, bars: Bars) -> Line:
    found = trials.ratio(MATCHED)
    return Line(case=case, ours=found, unit="r/s", seed=seed, note=f"{found.n} alarms", bars=bars)


def _draw_slower(rng: np.random.Generator, shape: tuple[int, int], changed: bool) -> Array:
    return rng.normal(math.log(1.3) if changed else 0.0, pools.REPLY_SD, shape)


def _draw_some(rng: np.random.Generator, shape: tuple[int, int], changed: bool) -> Array:
    slow = (rng.random(shape) < SLOW_SHARE) & changed
    return rng.normal(0.0, pools.REPLY_SD, shape) + np.where(slow, math.log(3.0), 0.0)


def _draw_wider(rng: np.random.Generator, shape: tuple[int, int], changed: bool) -> Array:
    return rng.normal(0.0, WIDE if changed else pools.REPLY_SD, shape)


def _ratio_slower(x: Array) -> Array:
    return _shift(x, math.log(1.3))


def _ratio_some(x: Array) -> Array:
    return np.asarray(np.log1p(SLOW_SHARE * np.expm1(_shift(x, math.log(3.0)))))


def _ratio_wider(x: Array) -> Array:
    narrow, wide = pools.REPLY_SD, WIDE
    return np.asarray(math.log(narrow / wide) + x * x / 2.0 * (1.0 / narrow**2 - 1.0 / wide**2))


def _shift(x: Array, by: float) -> Array:
    return np.asarray((x * by - by * by / 2.0) / pools.REPLY_SD**2)


#: The laws of the changes, in their order, with every case's level known.
LIMITS = ((_draw_slower, _ratio_slower), (_draw_some, _ratio_some), (_draw_wider, _ratio_wider))


def limit(effort: Effort, seed: int, law: tuple[object, object]) -> Measured:
    """What the CUSUM needs that knows every case's level and the law of the change."""
    draw, ratio = law
    known = Continuous(
        streams=effort.optimum,
        panel=pools.PANEL,
        draw=draw,  # type: ignore[arg-type]
        ratio=ratio,  # type: ignore[arg-type]
    )
    return optimal_delay(known, seed, target=MATCHED, rounds=4000)
