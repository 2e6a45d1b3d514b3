import math
import random

import pytest

from monitor.drift.detector import CaseReference, Observation, Reference, Round, VerdictKind
from monitor.drift.paired import PairedCusum
from tests.monitor.drift.streams import (
    EVERY,
    START,
    Stream,
    delays,
    less_able,
    main_pool,
    passes,
    realised_run_length,
)


def main_stream(rng, runs=5):
    return Stream(PairedCusum(), main_pool(rng), rng, draw=passes, runs=runs)


def small_stream(rng):
    return Stream(PairedCusum(), main_pool(rng, 20), rng, draw=passes, runs=3)


def reliable_stream(rng):
    return Stream(PairedCusum(), [0.98] * 20, rng, draw=passes, runs=3)


def a_round(values, number=1, run_length=500.0):
    return Round(
        at=START + number * EVERY,
        observations=[Observation(case=case, value=value) for case, value in values.items()],
        run_length=run_length,
        rng=random.Random(number),
    )


# The stated run length is 500. Sixteen fixed streams give it to within a quarter; the lower limits are the
# bars of the detector less that.
@pytest.mark.parametrize(
    ("make", "at_least"),
    [
        pytest.param(lambda rng: main_stream(rng, 3), 400, id="main pool, 3 runs"),
        pytest.param(lambda rng: main_stream(rng, 5), 400, id="main pool, 5 runs"),
        pytest.param(small_stream, 400, id="20 cases, 3 runs"),
        pytest.param(reliable_stream, 400, id="all pass 98 % of the time"),
    ],
)
def test_false_alarms_are_not_more_frequent_than_stated(make, at_least):
    assert at_least < realised_run_length(make, streams=16, at_most=1_000) < 4_000


def test_an_endpoint_that_always_passes_never_alarms():
    stream = Stream(PairedCusum(), [1.0] * 20, random.Random(1), draw=passes, runs=3)
    assert stream.rounds_until(VerdictKind.CHANGED, 1_000) is None


def test_an_endpoint_that_always_fails_never_alarms():
    stream = Stream(PairedCusum(), [0.0] * 20, random.Random(1), draw=passes, runs=3)
    assert stream.rounds_until(VerdictKind.CHANGED, 1_000) is None


@pytest.mark.parametrize(
    ("make", "drop", "at_most"),
    [
        pytest.param(main_stream, 0.05, 18, id="5 points of the main pool"),
        pytest.param(main_stream, 0.10, 7, id="10 points of the main pool"),
        pytest.param(small_stream, 0.10, 9, id="10 points of 20 cases"),
        pytest.param(reliable_stream, 0.10, 6, id="10 points of a reliable endpoint"),
    ],
)
def test_a_drop_is_told_within_rounds(make, drop, at_most):
    found = delays(make, lambda pool: less_able(pool, drop), streams=30)
    assert sum(found) / len(found) < at_most


def test_an_outage_of_quality_is_told_at_once():
    found = delays(small_stream, lambda pool: [0.0] * len(pool), streams=20)
    assert found[-1] <= 2


def test_a_change_is_dated_measured_and_its_cases_named():
    rng = random.Random(5)
    stream = Stream(PairedCusum(), [0.95] * 40, rng, draw=passes, runs=5)
    for _ in range(50):
        stream.step()
    stream.pool[:4] = [0.0] * 4
    assert stream.rounds_until(VerdictKind.CHANGED, 100) is not None
    for _ in range(10):
        verdict = stream.step()
    assert verdict.direction == "down"
    assert verdict.scale == "difference"
    assert verdict.effect is not None
    assert verdict.low is not None
    assert verdict.high is not None
    assert verdict.since is not None
    assert -1.0 <= verdict.low < verdict.effect < verdict.high < 0.0
    assert verdict.effect == pytest.approx(-0.095, abs=0.06)
    assert abs((verdict.since - START) / EVERY - 51) <= 4
    assert {f"case-{case:04d}" for case in range(4)} <= set(verdict.cases)
    assert verdict.evidence >= verdict.threshold


def test_after_a_recovery_the_stream_is_steady_again():
    for seed in range(5):
        stream = small_stream(random.Random(seed))
        able, stream.pool = stream.pool, [0.0] * 20
        assert stream.rounds_until(VerdictKind.CHANGED, 3) is not None
        stream.pool = able
        assert stream.rounds_until(VerdictKind.STEADY, 8) is not None


def test_half_way_back_from_an_outage_is_not_back():
    for seed in range(5):
        stream = main_stream(random.Random(seed))
        able, stream.pool = stream.pool, [0.0] * 500
        assert stream.rounds_until(VerdictKind.CHANGED, 3) is not None
        stream.pool = less_able(able, 0.3)
        assert stream.rounds_until(VerdictKind.STEADY, 100) is None


def test_nothing_is_learnt_from_the_alarm_to_the_return():
    stream = small_stream(random.Random(3))
    stream.pool = [0.0] * 20
    stream.rounds_until(VerdictKind.CHANGED, 3)
    held = stream.reference
    for _ in range(10):
        assert stream.step().kind is VerdictKind.CHANGED
    assert stream.reference is held


def test_replies_in_control_are_learnt_until_a_case_holds():
    stream = Stream(PairedCusum(), [0.9] * 100, random.Random(2), draw=passes, runs=3, run_length=1e9)
    for _ in range(600):
        stream.step()
    assert {case.runs for case in stream.reference.cases.values()} == {100}


def test_a_case_is_judged_from_its_third_run_on():
    detector = PairedCusum()
    fitted = detector.fit({"old": [1.0, 1.0, 1.0], "new": [1.0]})
    step = detector.update(detector.start(), fitted, a_round({"old": 1.0, "new": 0.0}))
    assert step.verdict.kind is VerdictKind.STEADY
    assert step.verdict.note == "1 of 2 cases are new and not judged yet"
    assert step.learned["new"] == CaseReference(runs=2, total=1.0, total_sq=1.0)


def test_a_round_of_new_cases_only_is_learning():
    detector = PairedCusum()
    fitted = detector.fit({"old": [1.0, 1.0, 1.0]})
    step = detector.update(detector.start(), fitted, a_round({"new": 0.0}))
    assert step.verdict.kind is VerdictKind.LEARNING
    assert step.learned == {"new": CaseReference(runs=1)}


def test_without_a_baseline_the_stream_says_so():
    detector = PairedCusum()
    step = detector.update(detector.start(), Reference(), a_round({"a": 1.0}))
    assert step.verdict.kind is VerdictKind.LEARNING
    assert step.verdict.note == "there is no baseline to compare with yet"


def test_a_round_without_replies_changes_nothing():
    stream = small_stream(random.Random(1))
    for _ in range(5):
        verdict = stream.step()
    empty = a_round({})
    step = stream.detector.update(stream.state, stream.reference, empty)
    assert step.state == stream.state
    assert step.verdict == verdict


def test_a_short_round_does_not_lower_the_threshold():
    stream = small_stream(random.Random(1))
    full = stream.step().threshold
    short = a_round({"case-0000": 1.0}, number=2)
    step = stream.detector.update(stream.state, stream.reference, short)
    assert step.verdict.threshold == pytest.approx(full, abs=0.05)


def test_a_larger_run_length_asks_for_more_evidence():
    stream = small_stream(random.Random(1))
    thresholds = [
        stream.detector.update(stream.state, stream.reference, a_round({"case-0000": 1.0}, 1, run)).verdict
        for run in (100.0, 1_000.0, 100_000.0, math.inf)
    ]
    found = [verdict.threshold for verdict in thresholds]
    assert found == sorted(found)
    assert found[-1] == math.inf


def test_graded_scores_alarm_no_more_often_than_stated_and_show_a_drop():
    def graded(rng, p):
        return min(1.0, max(0.0, rng.gauss(p, 0.15)))

    def make(rng):
        return Stream(PairedCusum(), [0.3, 0.5, 0.7, 0.8] * 10, rng, draw=graded, runs=3)

    assert realised_run_length(make, streams=6, at_most=1_000) > 500
    found = delays(make, lambda pool: [p - 0.1 for p in pool], streams=10)
    assert found[-1] < 25


def test_a_pool_of_one_case_sees_it_fail():
    stream = Stream(PairedCusum(), [0.95], random.Random(4), draw=passes, runs=20, run_length=5_000.0)
    assert stream.rounds_until(VerdictKind.CHANGED, 100) is None
    stream.pool = [0.0]
    assert stream.rounds_until(VerdictKind.CHANGED, 15) is not None


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.01, 1.01])
def test_a_score_that_is_none_is_refused(value):
    detector = PairedCusum()
    with pytest.raises(ValueError, match="case 'a'"):
        detector.update(detector.start(), Reference(), a_round({"a": value}))
    with pytest.raises(ValueError, match="case 'a'"):
        detector.fit({"a": [value]})


def test_a_state_of_another_version_is_refused():
    detector = PairedCusum()
    with pytest.raises(ValueError, match="version 2"):
        detector.update({**detector.start(), "v": 2}, Reference(), a_round({"a": 1.0}))


def test_a_run_length_of_a_few_rounds_is_refused():
    detector = PairedCusum()
    with pytest.raises(ValueError, match="at least 10"):
        detector.update(detector.start(), Reference(), a_round({"a": 1.0}, run_length=2.0))
