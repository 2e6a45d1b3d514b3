import random
from math import exp

import pytest

from monitor.drift.pool import FLOOR, design_drop, evidence, fit_pool, information, shift_for, shifted
from tests.monitor.drift.streams import main_pool, passes


def captured(pool, runs, seed=1):
    rng = random.Random(seed)
    return {str(case): [passes(rng, p) for _ in range(runs)] for case, p in enumerate(pool)}


def test_the_main_pool_is_found_again():
    true = main_pool(random.Random(1))
    pool = fit_pool(captured(true, 5))
    assert pool.mean == pytest.approx(sum(true) / 500, abs=0.01)
    assert pool.worth == pytest.approx(0.55, abs=0.2)


def test_identical_cases_are_worth_many_runs():
    assert fit_pool(captured([0.5] * 500, 3)).worth > 20


@pytest.mark.parametrize(
    "runs",
    [
        pytest.param({"a": [1.0] * 3, "b": [1.0] * 3}, id="all pass"),
        pytest.param({"a": [0.0] * 3, "b": [0.0] * 3}, id="all fail"),
        pytest.param({"a": [1.0], "b": [0.0], "c": [1.0]}, id="single runs"),
        pytest.param({"a": [1.0, 0.0, 1.0]}, id="one case"),
        pytest.param({"a": [0.31, 0.29, 0.3], "b": [0.9, 0.92], "c": []}, id="graded, unequal runs"),
    ],
)
def test_any_capture_gives_a_usable_pool(runs):
    pool = fit_pool(runs)
    assert 0.0 < pool.mean < 1.0
    for values in runs.values():
        assert 0.0 < pool.expected(len(values), sum(values)) <= 1.0 - FLOOR


def test_graded_runs_that_hardly_vary_count_more_than_passes():
    graded = fit_pool({str(index): [index / 20, index / 20 + 0.01] for index in range(20)})
    assert graded.worth < fit_pool(captured([index / 20 for index in range(20)], 2)).worth


def test_a_shift_lowers_the_mean_by_the_drop():
    pool = main_pool(random.Random(2))
    shift = shift_for(pool, 0.05)
    fallen = [shifted(p, shift) for p in pool]
    assert sum(pool) / 500 - sum(fallen) / 500 == pytest.approx(0.05, abs=1e-9)


def test_the_design_drop_follows_a_low_mean():
    assert design_drop(0.8) == 0.05
    assert design_drop(0.05) == pytest.approx(0.03)


@pytest.mark.parametrize("p", [0.02, 0.3, 0.98])
@pytest.mark.parametrize("shift", [0.1, 1.0, 5.0])
def test_a_bet_is_fair_for_passes_and_failures_and_at_most_fair_for_graded_scores(p, shift):
    fair = p * exp(evidence(1.0, p, shift)) + (1.0 - p) * exp(evidence(0.0, p, shift))
    assert fair == pytest.approx(1.0)
    assert exp(evidence(p, p, shift)) <= 1.0


def test_a_case_with_nothing_to_lose_bears_no_evidence():
    assert evidence(0.0, 0.01, 1.0) == 0.0


def test_the_information_of_the_main_pool_is_that_of_the_planning_table():
    pool = main_pool(random.Random(3), 4_000)
    assert information(pool, shift_for(pool, 0.05)) == pytest.approx(0.0184, rel=0.05)
    assert information(pool, shift_for(pool, 0.10)) == pytest.approx(0.0692, rel=0.05)
