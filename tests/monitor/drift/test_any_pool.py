"""Whatever the pool and whatever comes in, a detector of scores stays finite, small and indifferent to order."""

import json
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.detection.batches import Endpoints
from bench.detection.runner import EVERY, START, Stream, name
from bench.detection.worlds import Graded, Scores
from monitor.drift.batch import Streams
from monitor.drift.contract import LARGEST_STATE
from monitor.drift.detector import Observation, Role, Round, VerdictKind
from monitor.drift.evidence import mixture_threshold
from monitor.drift.paired import PairedMixture

scores = st.sampled_from([0.0, 1.0])
grades = st.one_of(scores, st.floats(0.0, 1.0))


@st.composite
def histories(draw, value):
    """A capture, with cases that have any number of runs, and rounds of changing panels with missing cases."""
    size = draw(st.integers(1, 30))
    runs = {name(case): draw(st.lists(value, max_size=6)) for case in range(draw(st.integers(1, size)))}
    asked = st.lists(st.tuples(st.integers(0, size - 1), value, st.sampled_from(list(Role))), max_size=40)
    return runs, draw(st.lists(asked, min_size=1, max_size=12))


def played(detector, runs, rounds, *, turned=False):
    reference = detector.fit(runs)
    cases, prior, state, steps = dict(reference.cases), reference.prior, detector.start(), []
    for number, asked in enumerate(rounds):
        observations = [Observation(case=name(case), value=value, role=role) for case, value, role in asked]
        if turned:
            observations.reverse()
        step = detector.update(
            state,
            type(reference)(prior=prior, cases=cases, residuals=reference.residuals),
            Round(
                at=START + number * EVERY,
                observations=observations,
                run_length=500.0,
                rng=random.Random(number),
            ),
        )
        state = json.loads(json.dumps(step.state, allow_nan=False))
        cases.update(step.learned)
        if step.refit:
            prior = detector.refit(type(reference)(prior=prior, cases=cases))
        steps.append(step)
    return steps


def check(steps):
    for step in steps:
        verdict = step.verdict
        numbers = [verdict.evidence, verdict.threshold, *step.log_bets, *step.residuals]
        numbers += [each for each in (verdict.effect, verdict.low, verdict.high) if each is not None]
        assert all(math.isfinite(each) for each in numbers)
        assert len(json.dumps(step.state)) <= LARGEST_STATE


@settings(max_examples=60, deadline=None)
@given(histories(scores))
def test_passes_and_failures_of_any_pool_give_finite_evidence(history):
    check(played(PairedMixture(), *history))


@settings(max_examples=60, deadline=None)
@given(histories(grades))
def test_grades_of_any_pool_give_finite_evidence(history):
    check(played(PairedMixture(), *history))


@settings(max_examples=40, deadline=None)
@given(histories(grades))
def test_the_order_of_replies_in_a_round_does_not_matter(history):
    assert played(PairedMixture(), *history) == played(PairedMixture(), *history, turned=True)


@pytest.mark.parametrize("p", [0.0, 1.0])
@pytest.mark.parametrize("size", [1, 20, 5000])
def test_pools_that_always_pass_or_always_fail_never_alarm(p, size):
    world = Scores(rng=random.Random(1), p=[p] * size)
    stream = Stream(detector=PairedMixture(), world=world, rng=random.Random(1), panel=20)
    stream.capture(3)
    kinds = {stream.step(500.0).kind for _ in range(300)}
    assert VerdictKind.CHANGED not in kinds


def test_a_small_reliable_pool_tells_gains_no_oftener_than_stated():
    p = np.full((150, 20), 0.98)
    endpoints = Endpoints(rng=np.random.default_rng(7), p=p)
    streams = Streams(endpoints, endpoints.rng.binomial(5, p).astype(float), np.full(p.shape, 5.0), panel=20)
    told = np.zeros(len(p), dtype=bool)
    for _ in range(200):
        streams.round()
        told |= streams.gains >= mixture_threshold(500.0)
    # By chance 1 - exp(-200 / 500) = .33 of the streams; before gains waited for the pool to be learnt it was .57.
    assert told.mean() < 0.42


@pytest.mark.parametrize("mean", [0.0, 1.0])
def test_grades_that_lie_at_the_end_of_the_scale_never_alarm(mean):
    world = Graded(rng=random.Random(2), mean=[mean] * 15 + [0.5] * 5, sd=0.02)
    stream = Stream(detector=PairedMixture(), world=world, rng=random.Random(2), panel=20)
    stream.capture(3)
    kinds = {stream.step(50_000.0).kind for _ in range(300)}
    assert VerdictKind.CHANGED not in kinds
