import json
import random

import pytest

from monitor.drift.detector import CaseReference, Reference, Step, Verdict, VerdictKind
from monitor.drift.failures import FailureMixture
from monitor.drift.paired import PairedMixture
from monitor.drift.ranks import RankBets
from monitor.drift.replay import apply, replay
from tests.monitor.drift.streams import Stream, passes, seconds


def a_stream(detector, pool, draw):
    return Stream(detector, pool, random.Random(11), draw=draw, runs=3)


@pytest.mark.parametrize(
    ("detector", "pool", "worse", "draw"),
    [
        (PairedMixture(), [0.8] * 30, [0.1] * 30, passes),
        (RankBets(), [0.0] * 30, [0.7] * 30, seconds),
        (FailureMixture(), [0.02] * 30, [0.6] * 30, passes),
    ],
)
def test_a_replay_reaches_the_same_state_as_the_rounds_one_by_one(detector, pool, worse, draw):
    stream = a_stream(detector, pool, draw)
    start, reference, rounds = stream.state, stream.reference, []
    for number in range(60):
        stream.pool = worse if 30 <= number < 45 else pool
        rounds.append(stream.round())
        stream.take(rounds[-1])
    state, learnt = replay(detector, start, reference, rounds)
    assert json.dumps(state) == json.dumps(stream.state)
    assert learnt == stream.reference


def test_apply_replaces_what_was_learnt_and_keeps_the_rest():
    old = Reference(prior={"mean": 0.5}, cases={"a": CaseReference(runs=3), "b": CaseReference(runs=4)})
    step = Step(
        state={},
        verdict=Verdict(kind=VerdictKind.STEADY),
        learned={"a": CaseReference(runs=4)},
        residuals=(0.1, 0.2, 0.3),
    )
    new = apply(old, step, cap=2)
    assert new.prior == old.prior
    assert new.cases == {"a": CaseReference(runs=4), "b": CaseReference(runs=4)}
    assert new.residuals == (0.1, 0.2)
    assert old.cases["a"].runs == 3
