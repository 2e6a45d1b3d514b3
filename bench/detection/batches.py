"""Trials of passes and failures, a hundred streams at a time through the product's batch engine."""

import copy
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from bench.detection import arl, pools
from bench.detection.effort import MATCHED
from bench.detection.optimum import Array
from bench.detection.runner import runs_of_capture
from bench.detection.trial import AT_MOST, ENOUGH, Changed, Record, Trials, Workers
from bench.detection.worlds import Change, Scores
from monitor.drift.batch import Streams
from monitor.drift.evidence import mixture_threshold
from monitor.drift.gathering import Indices

#: Streams of one batch.
BATCH = 100


@dataclass(frozen=True, kw_only=True)
class ScoreTrial:
    """What is simulated.

    Attributes:
        pool: Makes a pool from its chance.
        rounds: Rounds in control that a stream is recorded for.
        changes: Name -> change, each on a copy of the stream after `quiet` rounds.
        quiet: Rounds before the changes.
        runs: Of each case at the capture; those of the product if 0.
        bursts: Whether rounds grow when the evidence does.
        gain: Whether the evidence of gains is recorded, instead of that of changes to the worse.
        categories: How many the cases belong to, in turns; 0 for none.
        repeat: Share of re-asks that repeat the first reply for reasons of their own.
        noise: Share of verdicts that the judge turns round.
    """

    pool: partial[list[float]]
    rounds: int
    changes: Mapping[str, Change] = field(default_factory=dict)
    quiet: int = 200
    runs: int = pools.RUNS
    bursts: bool = True
    gain: bool = False
    categories: int = 0
    repeat: float = 0.0
    noise: float = 0.0


@dataclass(kw_only=True)
class Endpoints:
    """What the endpoints of a batch reply; `p` has the probability of a pass of each case, one row an endpoint."""

    rng: np.random.Generator
    p: Array
    repeat: float = 0.0

    def reply(self, streams: Indices, cases: Indices) -> Array:
        """One reply to each case from each stream."""
        return (self.rng.random((len(streams), len(cases))) < self.p[np.ix_(streams, cases)]).astype(float)

    def again(self, streams: Indices, cases: Indices, first: Array) -> Array:
        """Two more replies; for some reason of its own both may be the first one again."""
        fresh = (self.rng.random((len(streams), 2)) < self.p[streams, cases][:, None]).astype(float)
        repeats = self.rng.random(len(streams)) < self.repeat
        return np.where(repeats[:, None], first[:, None], fresh)


def endpoints(trial: ScoreTrial, seed: int, count: int) -> tuple[list[random.Random], Endpoints]:
    """So many endpoints, each from a seed of its own."""
    chances = [random.Random(seed + n) for n in range(count)]
    p = np.array([pools.noisy(trial.pool(rng), trial.noise) for rng in chances])
    return chances, Endpoints(rng=np.random.default_rng([seed, count]), p=p, repeat=trial.repeat)


def record(trial: ScoreTrial, given: tuple[int, int, bool]) -> list[Record]:
    """Simulates one batch: its first seed, its streams, and whether they are recorded in control to the end."""
    seed, count, control = given
    chances, world = endpoints(trial, seed, count)
    size = world.p.shape[1]
    runs = trial.runs or runs_of_capture(size, 3)
    streams = Streams(
        world,
        world.rng.binomial(runs, world.p).astype(float),
        np.full(world.p.shape, float(runs)),
        panel=pools.PANEL,
        bursts=trial.bursts,
        slices=[case % trial.categories for case in range(size)] if trial.categories else (),
    )
    quiet = min(trial.quiet, trial.rounds)
    before, asked = _play(streams, quiet, trial.gain)
    changed = {name: _after(streams, change, chances, trial) for name, change in trial.changes.items()}
    whole = before
    if control:
        later, more = _play(streams, trial.rounds - quiet, trial.gain)
        whole, asked = np.concatenate((before, later)), np.concatenate((asked, more))
    law = mixture_threshold(MATCHED)
    silent = np.maximum.accumulate(whole) < law  # an alarm would end bursts, and nothing here alarms
    return [
        Record(
            control=one,
            quiet=early,
            replies=float(asked[silent[:, n], n].mean()),
            law=law,
            changed={name: found[n] for name, found in changed.items()},
        )
        for n, (one, early) in enumerate(
            zip(arl.paths_of(whole) if control else [None] * count, arl.paths_of(before), strict=True)
        )
    ]


def _play(streams: Streams, rounds: int, gain: bool) -> tuple[Array, Array]:
    """The evidence and the replies of so many rounds; shape (rounds, streams)."""
    evidence, asked = np.zeros((2, rounds, len(streams.statistic)))
    for number in range(rounds):
        streams.round()
        evidence[number] = streams.gains if gain else streams.statistic
        asked[number] = streams.asked
    return evidence, asked


def _after(
    streams: Streams, change: Change, chances: list[random.Random], trial: ScoreTrial
) -> list[Changed]:
    twin = copy.deepcopy(streams)
    world = twin.replies
    assert isinstance(world, Endpoints)
    p = [
        change(Scores(rng=copy.copy(rng), p=row)) for rng, row in zip(chances, world.p.tolist(), strict=True)
    ]
    world.p = np.array([one.p for one in p if isinstance(one, Scores)])
    evidence: list[Array] = []
    asked: list[Array] = []
    highest = np.zeros(len(chances))
    while 5 * len(evidence) < AT_MOST and (highest < ENOUGH).any():
        found, replies = _play(twin, 5, trial.gain)
        evidence.append(found)
        asked.append(replies)
        highest = np.maximum(highest, found.max(axis=0))
    spent = np.concatenate(asked).cumsum(axis=0)
    paths = arl.paths_of(np.concatenate(evidence))
    return [
        Changed(path=path, replies=[int(spent[time - 1, n]) for time in (*path.times, path.rounds)])
        for n, path in enumerate(paths)
    ]


def trials(
    workers: Workers, trial: ScoreTrial, seed: int, streams: int, control: int | None = None
) -> Trials:
    """Records so many streams, the first `control` of them (or all) in control to the end."""
    at_length = streams if control is None else min(control, streams)
    given = [(seed + first, min(BATCH, at_length - first), True) for first in range(0, at_length, BATCH)] + [
        (seed + first, min(BATCH, streams - first), False) for first in range(at_length, streams, BATCH)
    ]
    found = workers.map(partial(record, trial), given)
    return Trials(records=[one for batch in found for one in batch])
