"""The bars of the benchmark that a minute can check: same simulation, fewer streams, fixed seeds.

A bar counts as missed where it is beyond two standard errors of the simulation. `make bench-detection` measures all.
"""

import math
from functools import partial

import pytest

from bench.detection import arl, batches, endpoint, pools, scores, times
from bench.detection.batches import ScoreTrial
from bench.detection.effort import MATCHED
from bench.detection.line import ERRORS
from bench.detection.times import LatencyTrial
from bench.detection.trial import Workers

#: Rounds in control of each stream.
ROUNDS = 700


@pytest.fixture(scope="module")
def here():
    return Workers(1)


@pytest.fixture(scope="module")
def plain(here):
    trial = ScoreTrial(pool=scores.MAIN, rounds=ROUNDS, changes=scores.FALLS, bursts=False)
    return batches.trials(here, trial, 100, 60)


@pytest.fixture(scope="module")
def bursting(here):
    some = {name: scores.FALLS[name] for name in ("5-point drop", "10-point drop")}
    trial = ScoreTrial(pool=scores.MAIN, rounds=ROUNDS, changes=some)
    return batches.trials(here, trial, 200, 60)


@pytest.fixture(scope="module")
def latency(here):
    return times.trials(here, LatencyTrial(rounds=ROUNDS, changes=times.CHANGES), 300, 50)


@pytest.mark.parametrize(
    ("change", "must"),
    [
        ("5-point drop", 16.0),
        ("10-point drop", 6.2),
        ("5-point random failures", 11.0),
        ("churn of 15 %", 10.0),
    ],
)
def test_a_change_of_scores_is_told_within_its_bar(plain, change, must):
    found = plain.delay(change, plain.height(MATCHED))
    assert found.value <= must + ERRORS * found.error


@pytest.mark.parametrize(("change", "must"), [("5-point drop", 11.0), ("10-point drop", 4.2)])
def test_bursts_tell_it_sooner(bursting, change, must):
    found = bursting.delay(change, bursting.height(MATCHED))
    assert found.value <= must + ERRORS * found.error


def test_a_drop_in_one_category_is_told_within_its_bar(here):
    name = "drop in one category of ten"
    trial = ScoreTrial(
        pool=scores.MAIN, rounds=ROUNDS, changes={name: scores.FALLS[name]}, bursts=False, categories=10
    )
    trials = batches.trials(here, trial, 400, 30)
    found = trials.delay(name, trials.height(MATCHED))
    assert found.value <= 6.5 + ERRORS * found.error


def test_a_gain_is_told_within_its_bar(here):
    trial = ScoreTrial(
        pool=scores.MAIN, rounds=ROUNDS, changes={"gain": scores.GAIN}, bursts=False, gain=True
    )
    trials = batches.trials(here, trial, 500, 50)
    found = trials.delay("gain", trials.height(MATCHED))
    assert found.value <= 15.0 + ERRORS * found.error


def test_re_asks_and_bursts_cost_few_replies(plain, bursting):
    assert plain.replies.value <= 21.5 + ERRORS * plain.replies.error + 0.1
    assert bursting.replies.value <= 22.5 + ERRORS * bursting.replies.error + 0.3


@pytest.mark.parametrize(
    ("change", "must"),
    [("latency x1.3", 2.5), ("8.3 % of calls x3", 5.5), ("wider spread (.35 to .59)", 5.0)],
)
def test_a_change_of_latency_is_told_within_its_bar(latency, change, must):
    found = latency.delay(change, latency.height(MATCHED))
    assert found.value <= must + ERRORS * found.error


def test_latencies_alarm_falsely_no_more_often_than_stated(latency):
    found = latency.ratio(MATCHED)
    assert found.value >= 0.5 - ERRORS * found.error


@pytest.mark.parametrize(
    ("pool", "low", "high"),
    [
        pytest.param(partial(pools.main, size=10), 0.55, 1.8, id="10 cases"),
        pytest.param(partial(pools.main, size=60), 0.55, 1.8, id="60 cases"),
        pytest.param(partial(pools.same, p=0.8, size=1), 0.5, math.inf, id="1 case"),
        pytest.param(partial(pools.same, p=1.0, size=100), 0.5, math.inf, id="all pass"),
        pytest.param(partial(pools.same, p=0.0, size=100), 0.5, math.inf, id="all fail"),
    ],
)
def test_false_alarms_come_as_often_as_stated_whatever_the_pool(here, pool, low, high):
    trials = batches.trials(here, ScoreTrial(pool=pool, rounds=2 * ROUNDS, runs=0), 600, 40)
    found = trials.ratio(MATCHED)
    assert low - ERRORS * found.error <= found.value <= high + ERRORS * found.error


@pytest.mark.parametrize("correlation", endpoint.CORRELATIONS)
def test_streams_of_one_endpoint_keep_its_budget_however_they_move_together(correlation):
    plan = endpoint.ALIKE
    watched = endpoint.watched(plan, plan.shares(), 4000, correlation, 700, copies=100)
    found = arl.run_length(arl.paths_of(watched.weighted + 100.0), 100.0)
    over = endpoint.BUDGET / found.value
    assert over <= 1.1 * (1.0 + ERRORS / math.sqrt(found.n))
