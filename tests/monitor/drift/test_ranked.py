"""The benchmark's blocks of latencies are what the detector makes of the same replies."""

import math
import random

import numpy as np
import pytest

from bench.detection.ranked import Law, captured, rolled
from bench.detection.runner import EVERY, NEVER, START, name
from monitor.drift.detector import Observation, Reference, Round
from monitor.drift.ranks import RankBets
from monitor.drift.replay import apply


@pytest.mark.parametrize("size", [12, 60, 500])
def test_blocks_find_the_evidence_of_the_detector(size):
    blocks = captured(np.random.default_rng(5), Law(), size=size, runs=4)
    bets = blocks.fork(Law()).bets(130)
    evidence, _ = rolled(bets[:, None, :], np.zeros((1, bets.shape[1])))

    detector = RankBets()
    again = np.random.default_rng(5)
    levels = again.normal(0.0, 0.5, size)
    noise = again.standard_normal((4, size))
    logs = levels + 0.35 * noise
    reference = detector.fit({name(case): np.exp(logs[:, case]).tolist() for case in range(size)})
    state, panel = detector.start(), min(20, size)
    values = np.exp(levels[_cases(130, panel, size)] + 0.35 * again.standard_normal((130, panel)))
    for number, cases in enumerate(_cases(130, panel, size)):
        observations = [
            Observation(case=name(case), value=value)
            for case, value in zip(cases.tolist(), values[number].tolist(), strict=True)
        ]
        round = Round(
            at=START + number * EVERY, observations=observations, run_length=NEVER, rng=random.Random(0)
        )
        step = detector.update(state, reference, round)
        state, reference = step.state, apply(reference, step)
        assert isinstance(reference, Reference)
        assert step.verdict.evidence == pytest.approx(evidence[number, 0], abs=1e-6)
    assert math.isfinite(evidence.max())


def _cases(rounds, panel, size):
    return np.arange(rounds * panel).reshape(rounds, panel) % size
