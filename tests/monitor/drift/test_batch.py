"""The engine on arrays is the engine: the same replies give the same evidence, round for round."""

import random
from collections import defaultdict

import numpy as np
import pytest

from bench.detection import engines
from bench.detection.runner import Stream
from monitor.drift.batch import Streams
from monitor.drift.paired import PairedMixture


class Scripted:
    """Replies that depend on nothing but the case and how often it was asked: as a world and as a batch's replies."""

    def __init__(self, p, seed):
        self.size, self.asked = len(p), defaultdict(int)
        rng = random.Random(seed)
        self.script = [[float(rng.random() < each) for _ in range(4000)] for each in p]

    def next(self, case):
        self.asked[case] += 1
        return self.script[case][self.asked[case] - 1]

    def begin(self):
        pass

    def capture(self, runs):
        return np.array([[self.next(case) for _ in range(runs)] for case in range(self.size)])


class World(Scripted):
    def reply(self, case):
        return self.next(case)

    def again(self, case, first):
        return [self.next(case), self.next(case)]


class Replies(Scripted):
    def reply(self, streams, cases):
        found = [self.next(case) for case in cases.tolist()]
        return np.array([found] * len(streams)).reshape(len(streams), len(cases))

    def again(self, streams, cases, first):
        return np.array([[self.next(case), self.next(case)] for case in cases.tolist()]).reshape(-1, 2)


def both(p, panel, categories=0):
    """The same endpoint as a stream of the detector and as a batch of one stream."""
    world, replies = World(p, 1), Replies(p, 1)
    stream = Stream(
        detector=PairedMixture(), world=world, rng=random.Random(0), panel=panel, categories=categories
    )
    stream.capture(5)
    passes = replies.capture(5).sum(axis=1)[None, :]
    slices = [case % categories for case in range(len(p))] if categories else ()
    return stream, Streams(replies, passes, np.full(passes.shape, 5.0), panel=panel, slices=slices)


def pool(size, seed=3):
    rng = random.Random(seed)
    return [min(0.98, max(0.02, rng.betavariate(0.4, 0.1))) for _ in range(size)]


@pytest.mark.parametrize(
    ("p", "panel", "categories"),
    [
        pytest.param(pool(80), 20, 0, id="80 cases"),
        pytest.param(pool(80), 20, 4, id="80 cases in four categories"),
        pytest.param(pool(45), 20, 0, id="bursts ask some cases twice"),
        pytest.param(pool(6), 20, 0, id="bursts ask every case three times"),
        pytest.param([1.0] * 30, 20, 0, id="all pass"),
    ],
)
def test_a_batch_finds_the_evidence_of_the_detector(p, panel, categories):
    stream, batch = both(p, panel, categories)
    worse = [0.93 * each for each in p]
    for number in range(150):
        if number == 120:  # then it fails more, so that re-asks and bursts come thick
            script = Scripted(worse, 2).script
            stream.world.script = batch.replies.script = script
        stream.step()
        batch.round()
        assert batch.statistic[0] == pytest.approx(stream.last.verdict.evidence, abs=2e-3)
        assert batch.gains[0] == pytest.approx(engines.gained(stream.last), abs=2e-3)
        assert batch.asked[0] == stream.replies
    assert batch.statistic[0] > 4.0
