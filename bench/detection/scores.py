"""Rows of passes and failures: drops, churn, noise, gains, and the run lengths they come with."""

import random
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from bench.detection import batches, engines, pools, worlds
from bench.detection.arl import Measured
from bench.detection.batches import ScoreTrial
from bench.detection.beside import limit, rivals
from bench.detection.effort import MATCHED, Effort
from bench.detection.line import Bars, Line, at_least, at_most, within
from bench.detection.runner import Stream
from bench.detection.trial import Trials, Workers
from bench.detection.worlds import Change
from monitor.drift.calibrate import bootstrap_scores
from monitor.drift.grid import fit_weights

ABILITY_5, ABILITY_10 = partial(worlds.ability, points=-0.05), partial(worlds.ability, points=-0.10)
FALLS: Mapping[str, Change] = {
    "5-point drop": ABILITY_5,
    "10-point drop": ABILITY_10,
    "5-point random failures": partial(worlds.points_failing, points=0.05),
    "drop in one category of ten": partial(worlds.category, points=0.05),
    "churn of 15 %": partial(worlds.churn, share=0.15),
}
GAIN = partial(worlds.ability, points=0.05)
NOISE = 0.05


def stream(rng: random.Random, pool: partial[list[float]]) -> Stream:
    """A stream of scores, watched through the protocol, whose capture is done."""
    world = worlds.Scores(rng=rng, p=pool(rng))
    one = Stream(detector=engines.score(), world=world, rng=rng, panel=pools.PANEL)
    one.capture(pools.RUNS)
    return one


MAIN = partial(pools.main)


def drops(workers: Workers, effort: Effort, seed: int) -> Iterator[Line]:
    """The falls without bursts, then with them."""
    plain = _trials(workers, effort, seed, FALLS, bursts=False)
    some = {name: FALLS[name] for name in ("5-point drop", "10-point drop")}
    burst = _trials(workers, effort, seed + 10_000, some, bursts=True)
    name = "drop in one category of ten"
    sliced = _trials(workers, effort, seed + 20_000, {name: FALLS[name]}, bursts=False, categories=10)
    limits = dict(zip(FALLS, workers.map(partial(limit, effort, seed), FALLS.values()), strict=True))
    beside = rivals(workers, effort, seed, FALLS) if effort.rivals else {}
    bars = {
        "5-point drop": at_most(16, 13.5),
        "5-point random failures": at_most(11, 9),
        "drop in one category of ten": at_most(6.5, 5.5),
        "churn of 15 %": at_most(10, 7.5),
        "10-point drop": at_most(6.2, 5),
    }
    for name, bar in bars.items():
        found = sliced if name in sliced.records[0].changed else plain
        yield _delay(found, name, name, seed, optimum=limits[name], river=beside.get(name, ""), bars=bar)
    for name, bar in {"5-point drop": at_most(11, 9), "10-point drop": at_most(4.2, 3.7)}.items():
        yield _delay(burst, name, f"{name}, with bursts", seed + 10_000, optimum=limits[name], bars=bar)
    yield from _items(plain, burst, seed)


def _items(plain: Trials, burst: Trials, seed: int) -> Iterator[Line]:
    name = "5-point drop"
    for trials, what, must, at in (
        (plain, "replies a round in control", 21.5, seed),
        (burst, "replies a round in control, with bursts", 22.5, seed + 10_000),
    ):
        yield Line(case=what, ours=trials.replies, unit="replies", seed=at, bars=at_most(must, must))
    yield Line(
        case="replies spent to a 5-point alarm",
        ours=plain.spent(name, plain.height(MATCHED)),
        unit="replies",
        seed=seed,
        note=f"with bursts {burst.spent(name, burst.height(MATCHED)).value:.0f}",
        bars=at_most(350, 300),
    )


def noise(workers: Workers, effort: Effort, seed: int) -> Iterator[Line]:
    """The drop as a judge sees it who turns 5 % of the verdicts round."""
    name = "5-point drop"
    trials = _trials(workers, effort, seed, {name: worlds_fall_under_noise}, bursts=False, noise=NOISE)
    limited = limit(effort, seed, ABILITY_5, flipped=NOISE)
    yield _delay(trials, name, "judge noise 5 %, 5-point drop", seed, optimum=limited, bars=at_most(27, 23))


def worlds_fall_under_noise(world: worlds.World) -> worlds.World:
    """The answers fall by five points; the judge's errors stay what they are."""
    assert isinstance(world, worlds.Scores)
    clear = [(p - NOISE) / (1.0 - 2.0 * NOISE) for p in world.p]
    return worlds.Scores(rng=world.rng, p=pools.noisy(pools.moved(clear, -0.05), NOISE))


def gains(workers: Workers, effort: Effort, seed: int) -> Iterator[Line]:
    """A gain of five points, and the gains' run lengths on six pools."""
    trials = _trials(workers, effort, seed, {"gain": GAIN}, bursts=False, gain=True)
    limited = limit(effort, seed, GAIN)
    yield _delay(trials, "gain", "gain of 5 points", seed, optimum=limited, bars=at_most(15, 12.5))
    yield _ratio(trials, "gain r/s: main pool", seed, bars=at_least(0.75, 0.9))
    for n, (what, pool) in enumerate(SIX.items(), start=1):
        if effort.whole or n == 4:
            found = _ratios(workers, effort, seed + n * 1000, pool, gain=True)
            yield _ratio(found, f"gain r/s: {what}", seed + n * 1000, bars=at_least(0.75, 0.9))


#: The pools that gains are held against, beside the main one.
SIX = {
    "p in {0, 1}, 5 % between": partial(pools.two_sided, low=0.0),
    "p in {.002, .998}, 5 % between": partial(pools.two_sided, low=0.002),
    "97-100 %, a few at 3 % and 0": partial(pools.reliable),
    "50 cases, 76 % never pass": partial(pools.hard),
    "30 cases at .01 and .99": partial(pools.extreme),
}

#: Pools of any size and kind.
ANY = {
    "1 case at .8": partial(pools.same, p=0.8, size=1),
    "20 cases, all at .5": partial(pools.same, p=0.5, size=20),
    "500 cases, all at .7": partial(pools.same, p=0.7, size=500),
    "200 cases that always pass": partial(pools.same, p=1.0, size=200),
    "200 cases that always fail": partial(pools.same, p=0.0, size=200),
    "5,000 cases of the main pool": partial(pools.main, size=5000),
}


def small(workers: Workers, effort: Effort, seed: int) -> Iterator[Line]:
    """Realised over stated run length by the law, pools of 5 to 60 cases and of any kind."""
    for n, size in enumerate((5, 10, 20, 30, 60)):
        if effort.whole or size in (10, 60):
            at = seed + n * 1000
            found = _ratios(workers, effort, at, partial(pools.main, size=size), runs=0)
            yield _ratio(found, f"r/s: {size} cases", at, bars=within((0.55, 1.8), (0.8, 1.25)))
    for n, (what, pool) in enumerate(ANY.items(), start=5):
        if effort.whole:
            at = seed + n * 1000
            yield _ratio(
                _ratios(workers, effort, at, pool, runs=0), f"r/s: {what}", at, bars=at_least(0.5, 0.8)
            )


def own(workers: Workers, effort: Effort, seed: int) -> Iterator[Line]:
    """Realised over stated with the product's own threshold: the law's, corrected by the full bootstrap.

    The correction is that of a few captures, each of which fits its own pool; every stream is held against each.
    """
    for n, floor in enumerate((0.02, 0.005)):
        if not effort.whole and n:
            return
        pool, at = partial(pools.main, floor=floor), seed + n * 10_000
        corrections = workers.map(partial(_correction, pool), range(at, at + effort.bootstraps))
        for repeat in (0.0, 0.2):
            found = _ratios(workers, effort, at + round(repeat * 10_000), pool, repeat=repeat)
            yield _own(found, corrections, f"floor {floor:g}, repeats {repeat:g}", at)


def _own(found: Trials, corrections: Sequence[float], what: str, seed: int) -> Line:
    each = [found.ratio(MATCHED, correction) for correction in corrections]
    ratio = len(each) / sum(1.0 / one.value for one in each)
    spread = float(np.std([one.value for one in each])) / len(each) ** 0.5
    error = float(np.hypot(each[0].error, spread))
    said = ", ".join(f"{correction:+.2f}" for correction in corrections)
    return Line(
        case=f"r/s, own threshold: {what}",
        ours=Measured(value=ratio, error=error, n=each[0].n),
        unit="r/s",
        seed=seed,
        bars=within((0.75, 1.4), (0.9, 1.2)),
        note=f"by the law {found.ratio(MATCHED).value:.2f}; bootstraps {said} nats",
    )


def _correction(pool: partial[list[float]], seed: int) -> float:
    """The bootstrap's correction for one capture, as the daemon makes it."""
    p, rng = np.array(pool(random.Random(seed))), np.random.default_rng(seed)
    passes = rng.binomial(pools.RUNS, p).astype(float)
    counts = np.stack((passes, np.full(len(p), float(pools.RUNS))), axis=-1)
    return bootstrap_scores(fit_weights(counts), rng, cases=len(p), panel=pools.PANEL, runs=pools.RUNS)


def _trials(
    workers: Workers, effort: Effort, seed: int, changes: Mapping[str, Change], **kind: Any
) -> Trials:
    trial = ScoreTrial(pool=MAIN, rounds=effort.rounds, changes=changes, **kind)
    return batches.trials(workers, trial, seed, effort.changed, effort.control)


def _ratios(workers: Workers, effort: Effort, seed: int, pool: partial[list[float]], **kind: Any) -> Trials:
    trial = ScoreTrial(pool=pool, rounds=effort.ratio_rounds, **kind)
    return batches.trials(workers, trial, seed, effort.ratio)


def _delay(
    trials: Trials,
    change: str,
    case: str,
    seed: int,
    *,
    optimum: Measured,
    bars: Bars,
    river: str = "",
) -> Line:
    height = trials.height(MATCHED)
    law = trials.records[0].law
    note = f"h {height:.2f} (law {law:.2f}), r/s {trials.ratio(MATCHED).value:.2f}"
    if missed := trials.missed(change, height):
        note += f", {missed:.1%} not within 500 rounds"
    return Line(
        case=case,
        ours=trials.delay(change, height),
        unit="rounds",
        seed=seed,
        optimum=optimum,
        bars=bars,
        river=river,
        note=note,
    )


def _ratio(trials: Trials, case: str, seed: int, *, bars: Bars, correction: float = 0.0) -> Line:
    found = trials.ratio(MATCHED, correction)
    note = f"{found.n} alarms"
    return Line(case=case, ours=found, unit="r/s", seed=seed, note=note, bars=bars)
