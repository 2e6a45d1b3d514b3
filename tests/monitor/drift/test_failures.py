import math
import random
from dataclasses import replace

import pytest

from monitor.drift.detector import Observation, Reference, Round, VerdictKind
from monitor.drift.failures import OFTEN, REQUESTS_HELD, FailureMixture
from tests.monitor.drift.streams import EVERY, START, Stream, delays, passes, realised_run_length


def stream_of(share, runs=3):
    return lambda rng: Stream(FailureMixture(), [share] * 20, rng, draw=passes, runs=runs)


def a_round(values, number=1):
    return Round(
        at=START + number * EVERY,
        observations=[Observation(case=f"case-{index}", value=value) for index, value in enumerate(values)],
        run_length=500.0,
        rng=random.Random(number),
    )


@pytest.mark.parametrize(
    ("share", "runs"),
    [
        pytest.param(0.01, 0, id="1 %, no capture"),
        pytest.param(0.03, 3, id="3 %"),
        pytest.param(0.5, 3, id="every other request"),
    ],
)
def test_false_alarms_are_not_more_frequent_than_stated(share, runs):
    assert 350 < realised_run_length(stream_of(share, runs), streams=24, at_most=1_000) < 4_000


def test_an_endpoint_that_never_fails_never_alarms():
    stream = stream_of(0.0)(random.Random(1))
    stream.run_length = 20.0
    assert stream.rounds_until(VerdictKind.CHANGED, 2_000) is None


@pytest.mark.parametrize(
    ("usual", "now", "at_most"),
    [(0.0, 1.0, 1.01), (0.01, 0.4, 1.5), (0.01, 0.1, 5), (0.01, 0.05, 12), (0.3, 0.9, 2)],
)
def test_more_failures_are_told_within_rounds(usual, now, at_most):
    found = delays(stream_of(usual), lambda pool: [now] * len(pool), streams=30)
    assert sum(found) / len(found) < at_most


@pytest.mark.parametrize("share", [0.7, 0.9, 0.99])
def test_where_most_requests_fail_as_a_rule_nothing_is_bet_on_and_it_is_said(share):
    stream = stream_of(share, runs=5)(random.Random(8))
    stream.run_length = 20.0
    shown = [stream.step() for _ in range(300)]
    assert {verdict.kind for verdict in shown} == {VerdictKind.STEADY}
    assert {verdict.evidence for verdict in shown} == {0.0}
    assert {verdict.note for verdict in shown} == {OFTEN}
    assert stream.state["own"]["asked"] == 6_000


def test_an_endpoint_that_failed_mostly_is_watched_again_once_it_has_learnt_better():
    stream = stream_of(0.9)(random.Random(8))
    assert stream.step().note == OFTEN
    stream.pool = [0.0] * 20
    while stream.step().note:
        pass
    stream.pool = [1.0] * 20
    assert stream.rounds_until(VerdictKind.CHANGED, 10) is not None


def test_an_outage_at_the_first_round_of_all_is_told():
    detector = FailureMixture()
    step = detector.update(detector.start(), Reference(), a_round([1.0] * 20))
    assert step.verdict.kind is VerdictKind.CHANGED
    assert step.verdict.direction == "up"
    assert step.verdict.effect == pytest.approx(0.99, abs=0.01)
    assert step.verdict.since == START + EVERY


@pytest.mark.parametrize("usual", [0.0, 0.01, 0.05])
def test_after_an_outage_the_stream_is_soon_steady(usual):
    found = []
    for seed in range(20):
        stream = stream_of(usual)(random.Random(seed))
        stream.pool = [1.0] * 20
        assert stream.rounds_until(VerdictKind.CHANGED, 2) is not None
        stream.pool = [usual] * 20
        found.append(stream.rounds_until(VerdictKind.STEADY, 15) or 15)
    assert sum(found) / len(found) < 5


def test_an_outage_that_leaves_every_fifth_request_failing_is_not_over():
    stream = stream_of(0.01)(random.Random(4))
    stream.pool = [1.0] * 20
    assert stream.rounds_until(VerdictKind.CHANGED, 2) is not None
    stream.pool = [0.2] * 20
    assert stream.rounds_until(VerdictKind.STEADY, 100) is None


def test_the_usual_share_is_learnt_and_then_held():
    stream = stream_of(0.02)(random.Random(6))
    stream.run_length = 1e9
    for _ in range(REQUESTS_HELD // 20):
        stream.step()
    held = stream.state["own"]
    assert held["asked"] == REQUESTS_HELD
    assert held["failed"] / held["asked"] == pytest.approx(0.02, abs=0.005)
    stream.step()
    assert stream.state["own"] == held


def test_nothing_is_learnt_while_it_is_changed():
    stream = stream_of(0.0)(random.Random(6))
    stream.pool = [1.0] * 20
    assert stream.step().kind is VerdictKind.CHANGED
    held = stream.state["own"]
    stream.step()
    assert stream.state["own"] == held


@pytest.mark.parametrize("value", [math.nan, -math.inf, 2.0, -1.0])
def test_a_value_that_is_no_share_is_refused(value):
    detector = FailureMixture()
    with pytest.raises(ValueError, match="case 'case-0'"):
        detector.update(detector.start(), Reference(), a_round([value]))
    with pytest.raises(ValueError, match="case 'a'"):
        detector.fit({"a": [value]})


def test_while_nothing_fails_no_evidence_is_shown_and_one_failure_shows_some():
    stream = stream_of(0.0)(random.Random(1))
    stream.run_length = 12_000.0
    shown = [stream.step() for _ in range(200)]
    assert max(verdict.evidence for verdict in shown) == 0.0
    assert min(verdict.threshold for verdict in shown) > 6.0
    step = stream.detector.update(stream.state, stream.reference, a_round([1.0, 1.0] + [0.0] * 18))
    assert 0.0 < step.verdict.evidence < step.verdict.threshold
    assert len(step.log_bets) == 3


def test_evidence_and_threshold_are_told_from_the_same_rest():
    """Whether it alarms follows from the plain statistic and the plain threshold."""
    detector = FailureMixture()
    reference = detector.fit({"a": [0.0] * 2_000})
    state = detector.start()
    for number in range(50):
        state = detector.update(state, reference, a_round([0.0] * 20, number)).state
    told = [
        detector.update(state, reference, replace(a_round([1.0] * n + [0.0] * (20 - n)), run_length=500.0))
        for n in range(8)
    ]
    for step in told:
        reached = step.verdict.evidence >= step.verdict.threshold
        assert (step.verdict.kind is VerdictKind.CHANGED) is reached
    assert told[0].verdict.kind is VerdictKind.STEADY
    assert told[-1].verdict.kind is VerdictKind.CHANGED


def test_other_streams_and_calibration_move_the_alarm():
    detector = FailureMixture()
    kinds = [
        detector.update(
            detector.start(), Reference(), replace(a_round([1.0] * 2 + [0.0] * 18), **shared)
        ).verdict.kind
        for shared in ({}, {"pooled": 0.999, "moved": 0.001}, {"correction": -4.0}, {"correction": 4.0})
    ]
    assert kinds[0] in (VerdictKind.STEADY, VerdictKind.SUSPECT)
    assert kinds[1] is VerdictKind.CHANGED
    assert kinds[2] is VerdictKind.CHANGED
    assert kinds[3] in (VerdictKind.STEADY, VerdictKind.SUSPECT)
