import math
import random

import pytest

from monitor.drift.detector import Observation, Reference, Round, VerdictKind
from monitor.drift.ranks import RankBets
from monitor.drift.replay import RESIDUALS_HELD
from tests.monitor.drift.streams import (
    EVERY,
    START,
    Stream,
    delays,
    latency_pool,
    realised_run_length,
    seconds,
)


def small_stream(rng):
    return Stream(RankBets(), latency_pool(rng, 20), rng, draw=seconds, runs=3)


def slower(by):
    return lambda pool: [level + math.log(by) for level in pool]


def heavy_tailed(rng, level):
    """Student t with three degrees of freedom, sd .35, on the log scale."""
    return math.exp(level + 0.2 * rng.gauss(0.0, 1.0) / math.sqrt(rng.gammavariate(1.5, 2.0) / 3.0))


def a_round(values, number=1):
    return Round(
        at=START + number * EVERY,
        observations=[Observation(case=case, value=value) for case, value in values.items()],
        run_length=500.0,
        rng=random.Random(number),
    )


@pytest.mark.parametrize("draw", [seconds, heavy_tailed])
def test_false_alarms_are_not_more_frequent_than_stated(draw):
    def make(rng):
        return Stream(RankBets(), latency_pool(rng, 20), rng, draw=draw, runs=3)

    assert 400 < realised_run_length(make, streams=12, at_most=1_000) < 4_000


def test_a_measure_that_never_varies_does_not_alarm():
    def constant(rng, level):
        return math.exp(level)

    for seed in range(3):
        rng = random.Random(seed)
        stream = Stream(RankBets(), latency_pool(rng, 20), rng, draw=constant, runs=3, run_length=2_000.0)
        assert stream.rounds_until(VerdictKind.CHANGED, 300) is None


@pytest.mark.parametrize("share", [0.01, 0.07, 0.3])
def test_a_measure_of_two_values_stays_quiet_while_it_learns(share):
    def tokens(rng, level):
        return 4.0 if rng.random() < share else 1.0

    for seed in range(12):  # 720 rounds at one alarm in 50,000: even a single one is too many
        rng = random.Random(seed)
        stream = Stream(RankBets(), latency_pool(rng, 40), rng, draw=tokens, runs=3, run_length=50_000.0)
        assert stream.rounds_until(VerdictKind.CHANGED, 60) is None


@pytest.mark.parametrize(("by", "at_most"), [(1.2, 8), (1.3, 4), (3.0, 2.5)])
def test_slower_replies_are_told_within_rounds(by, at_most):
    found = delays(small_stream, slower(by), streams=20)
    assert sum(found) / len(found) < at_most


def test_the_effect_is_a_ratio_with_its_start():
    stream = small_stream(random.Random(8))
    for _ in range(40):
        stream.step()
    stream.pool = slower(1.5)(stream.pool)
    for _ in range(12):
        verdict = stream.step()
    assert verdict.kind is VerdictKind.CHANGED
    assert verdict.direction == "up"
    assert verdict.scale == "ratio"
    assert verdict.low < 0.5 < verdict.high
    assert verdict.effect == pytest.approx(0.5, abs=0.2)
    assert verdict.low > 0.0
    assert abs((verdict.since - START) / EVERY - 41) <= 2
    assert len(verdict.cases) == 5


def test_after_a_recovery_the_stream_is_steady_and_learns_again():
    stream = small_stream(random.Random(2))
    usual, stream.pool = stream.pool, slower(3.0)(stream.pool)
    assert stream.rounds_until(VerdictKind.CHANGED, 5) is not None
    held = stream.reference
    stream.step()
    assert stream.reference is held
    stream.pool = usual
    assert stream.rounds_until(VerdictKind.STEADY, 6) is not None
    stream.step()
    assert len(stream.reference.residuals) > len(held.residuals)


def test_residuals_hold_in_the_end_and_levels_from_the_capture_on():
    stream = Stream(
        RankBets(), latency_pool(random.Random(1), 20), random.Random(1), draw=seconds, runs=3, run_length=1e9
    )
    for _ in range(110):
        stream.step()
    assert len(stream.reference.residuals) == RESIDUALS_HELD
    assert {case.runs for case in stream.reference.cases.values()} == {3}


def test_a_small_capture_learns_until_it_can_rank():
    stream = Stream(RankBets(), latency_pool(random.Random(1), 5), random.Random(1), draw=seconds, runs=3)
    kinds = [stream.step().kind for _ in range(7)]
    assert kinds[:5] == [VerdictKind.LEARNING] * 5
    assert kinds[5:] == [VerdictKind.STEADY] * 2


def test_a_pool_of_one_case_sees_it_slow_down():
    stream = Stream(RankBets(), [0.0], random.Random(3), draw=seconds, runs=50)
    stream.run_length = 5_000.0
    assert stream.rounds_until(VerdictKind.CHANGED, 60) is None
    stream.pool = [1.0]
    assert stream.rounds_until(VerdictKind.CHANGED, 20) is not None


def test_without_a_baseline_the_stream_says_so():
    detector = RankBets()
    step = detector.update(detector.start(), Reference(), a_round({"a": 1.0}))
    assert step.verdict.kind is VerdictKind.LEARNING
    assert step.verdict.note == "there is no baseline to compare with yet"


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, -1.0])
def test_a_duration_that_is_none_is_refused(value):
    detector = RankBets()
    with pytest.raises(ValueError, match="case 'a'"):
        detector.update(detector.start(), Reference(), a_round({"a": value}))
    with pytest.raises(ValueError, match="case 'a'"):
        detector.fit({"a": [value]})
