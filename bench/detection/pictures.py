"""The pictures of the documentation, drawn from simulations of their own."""

import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench.detection import batches, optimum, pools, rivers, scores, worlds
from bench.detection.batches import ScoreTrial
from bench.detection.beside import laws
from bench.detection.effort import MATCHED, Effort
from bench.detection.svg import Chart, Curve
from bench.detection.trial import Trials, Workers

RUN_LENGTHS = (250.0, 500.0, 1000.0, 2000.0, 4000.0)
NAME = "5-point drop"

#: The rival of the pictures, and thresholds of it that span the run lengths.
RIVAL = rivers.RIVALS[4]
THRESHOLDS = (0.25, 0.35, 0.45, 0.55, 0.65, 0.75)


def draw(workers: Workers, effort: Effort, seed: int, folder: Path) -> list[Path]:
    """Writes all pictures; gives their names."""
    change = {NAME: scores.FALLS[NAME]}
    plain, bursts = (
        batches.trials(
            workers,
            ScoreTrial(pool=scores.MAIN, rounds=effort.rounds, changes=change, bursts=on),
            seed,
            effort.control,
        )
        for on in (False, True)
    )
    drawn = {
        "delay.svg": delays(plain, bursts),
        "delay-by-run-length.svg": trade(plain, bursts, effort, seed),
        "one-run.svg": one_run(seed),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, chart in drawn.items():
        (folder / name).write_text(chart.svg())
    return [folder / name for name in drawn]


def delays(plain: Trials, bursts: Trials) -> Chart:
    """Share of streams told, by rounds after the change."""
    return Chart(
        title="5 points lower: told within how many rounds (one false alarm in 2,000)",
        across="rounds after the change",
        up="share of simulated endpoints told",
        curves=[
            Curve(label="every round 20 cases", points=_told(plain), steps=True),
            Curve(label="with bursts", points=_told(bursts), steps=True),
        ],
    )


def _told(trials: Trials, rounds: int = 50) -> list[tuple[float, float]]:
    height = trials.height(MATCHED)
    silent = [one for one in trials.records if one.quiet.passes(height) is None]
    times = [one.changed[NAME].path.passes(height) or rounds + 1 for one in silent]
    return [(float(n), sum(time <= n for time in times) / len(times)) for n in range(rounds + 1)]


def trade(plain: Trials, bursts: Trials, effort: Effort, seed: int) -> Chart:
    """Delay against run length: ours, the limit, and river's PageHinkley."""
    before, after = laws(effort.optimum // 4, seed, scores.FALLS[NAME])
    known = optimum.Binary(before=before, after=after, panel=pools.PANEL)
    limit = [(arl, optimum.delay(known, seed, target=arl, rounds=4000).value) for arl in RUN_LENGTHS]
    return Chart(
        title="What fewer false alarms cost: delay of a 5-point drop by run length",
        across="rounds between false alarms",
        up="rounds until it is told",
        curves=[
            Curve(label="PageHinkley (river) on round means", points=_rival(effort, seed)),
            Curve(label="Plumbline, 20 cases a round", points=_matched(plain)),
            Curve(label="the limit: CUSUM that knows all laws, 20 cases a round", points=limit, dashed=True),
            Curve(label="Plumbline with bursts", points=_matched(bursts)),
        ],
        log=True,
    )


def _matched(trials: Trials) -> list[tuple[float, float]]:
    return [(arl, trials.delay(NAME, trials.height(arl)).value) for arl in RUN_LENGTHS]


def _rival(effort: Effort, seed: int) -> list[tuple[float, float]]:
    before, after = laws(effort.control // 2, seed, scores.FALLS[NAME])
    make = partial(rivers.series, panel=pools.PANEL, seed=seed)
    control = make(before, before, effort.rounds, None).of(RIVAL.watches)
    worse = make(before, after, 500, 200).of(RIVAL.watches)
    points = []
    for threshold in THRESHOLDS:
        found = rivers.run_length(RIVAL, threshold, control).value
        delay = rivers.delay(rivers.first_alarms(RIVAL, threshold, worse), 200, 500).value
        if RUN_LENGTHS[0] <= found <= RUN_LENGTHS[-1]:
            points.append((found, delay))
    return points


def one_run(seed: int) -> Chart:
    """The evidence of one stream, by the product's own detector, before and after a 5-point drop."""
    stream = scores.stream(random.Random(seed), scores.MAIN)
    evidence: list[float] = []
    threshold = stream.threshold(MATCHED)
    for number in range(160):
        if number == 120:
            stream.world = worlds.ability(stream.world, -0.05)
        evidence.append(max(0.0, stream.evidence()))
        if evidence[-1] >= threshold:
            break
    told = len(evidence)
    return Chart(
        title=f"One endpoint, 5 points lower from round 120 on, told in round {told}",
        across="round",
        up="evidence, in nats",
        curves=[Curve(label="evidence", points=_points(evidence))],
        marks=[(threshold, "alarm: one false in 2,000 rounds"), (threshold / 2.0, "suspect")],
        events=[(120.0, "the change")],
    )


def _points(values: Sequence[float]) -> list[tuple[float, float]]:
    return [(float(n), value) for n, value in enumerate(values, start=1)]
