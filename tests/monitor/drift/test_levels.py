import math
import random
from statistics import pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.drift.detector import CaseReference
from monitor.drift.levels import LEAST_SPREAD, Levels, fit_levels, known_of

VALUES = st.lists(st.floats(-20.0, 20.0), min_size=1, max_size=5)


def test_the_two_variances_are_found():
    rng = random.Random(1)
    runs = {}
    for case in range(1_000):
        level = rng.gauss(2.0, 0.5)
        runs[str(case)] = [rng.gauss(level, 0.35) for _ in range(4)]
    levels = fit_levels(runs)  # standard errors .017, .0032 and .013
    assert levels.mean == pytest.approx(2.0, abs=0.07)
    assert levels.within == pytest.approx(0.35**2, abs=0.013)
    assert levels.between == pytest.approx(0.25, abs=0.05)


def test_worked_by_hand():
    levels = Levels(mean=1.0, within=2.0, between=4.0)
    expected, spread = levels.next(CaseReference(runs=3, total=9.0))
    assert expected == pytest.approx((4.0 * 9.0 + 2.0 * 1.0) / (3 * 4.0 + 2.0))
    assert spread == pytest.approx(math.sqrt(2.0 + 4.0 * 2.0 / (3 * 4.0 + 2.0)))
    assert levels.residual(4.0, CaseReference(runs=3, total=9.0)) == pytest.approx(
        (4.0 - expected) / spread, abs=1e-6
    )


def test_residuals_have_the_spread_they_are_measured_in():
    rng = random.Random(2)
    levels = Levels(mean=0.0, within=0.2, between=0.5)
    found = []
    for _ in range(4_000):
        level = rng.gauss(0.0, math.sqrt(0.5))
        known = known_of([rng.gauss(level, math.sqrt(0.2)) for _ in range(2)])
        found.append(levels.residual(rng.gauss(level, math.sqrt(0.2)), known))
    assert pvariance(found) == pytest.approx(1.0, abs=0.09)  # four standard errors


def test_a_case_without_runs_is_expected_at_the_mean():
    assert Levels(mean=3.0, within=1.0, between=8.0).next(CaseReference()) == (3.0, 3.0)


@given(st.dictionaries(st.text(max_size=3), VALUES, min_size=1, max_size=8))
def test_any_capture_can_be_fitted(runs):
    levels = fit_levels(runs)
    assert levels.within >= LEAST_SPREAD**2
    assert levels.between > 0.0
    assert all(math.isfinite(levels.residual(0.0, known_of(values))) for values in runs.values())
    assert Levels.load(levels.dump()) == levels
