import math
import random

import numpy as np
import pytest

from monitor.drift.bets import LAWS
from monitor.drift.calibrate import (
    BLOCK,
    HISTORY_NEEDED,
    bootstrap,
    bootstrap_key,
    bootstrap_scores,
    law_threshold,
    mixture_threshold_at,
    own_history,
)
from monitor.drift.detector import Observation, Reference
from monitor.drift.failures import FailureMixture
from monitor.drift.grid import THETA
from monitor.drift.ranks import RankBets
from monitor.drift.thresholds import Thresholds
from tests.monitor.drift.streams import latency_pool, name, seconds

EVEN = np.full(2, 0.5)


def gaussian_bets(rng, shape, shifts=(0.5, 1.0)):
    z = rng.standard_normal(shape)
    return np.stack([shift * z - shift * shift / 2.0 for shift in shifts], axis=-1)


def alarms_in(bets, weights, height):
    """Plain recursion for one stream, beside the one over all candidates at once."""
    sums, alarms = np.zeros(len(weights)), 0
    for factors in np.exp(bets):
        sums = (sums + 1.0) * factors
        if sums @ weights >= math.exp(height):
            alarms, sums = alarms + 1, np.zeros(len(weights))
    return alarms


def test_the_threshold_alarms_once_in_its_run_length():
    rng = np.random.default_rng(1)
    height = mixture_threshold_at(gaussian_bets(rng, (2_000, 50)), EVEN, 250.0)
    fresh = gaussian_bets(rng, (50_000,))
    assert alarms_in(fresh, EVEN, height) == pytest.approx(200, abs=70)  # both errors 7 %, four times
    assert height == pytest.approx(
        math.log(250.0) - 0.6, abs=0.3
    )  # Shiryaev-Roberts overshoots by about that


def test_a_higher_run_length_needs_a_higher_threshold():
    bets = gaussian_bets(np.random.default_rng(2), (2_000, 30))
    found = [mixture_threshold_at(bets, EVEN, length) for length in (50.0, 250.0, 1_000.0)]
    assert found == sorted(found)


def test_bets_that_never_or_always_alarm_end_at_the_edge():
    assert mixture_threshold_at(np.full((100, 2, 2), -5.0), EVEN, 250.0) == pytest.approx(
        math.log(250.0) - 4.0
    )
    assert mixture_threshold_at(np.full((100, 2, 2), 200.0), EVEN, 250.0) == pytest.approx(
        math.log(250.0) + 8.0
    )


def test_own_history_needs_enough_rounds():
    bets = gaussian_bets(np.random.default_rng(3), (HISTORY_NEEDED,))
    assert own_history(bets[1:], EVEN, np.random.default_rng(1), 500.0) is None
    assert own_history(bets, EVEN, np.random.default_rng(1), 500.0) is not None


def test_own_history_sees_rounds_that_move_together():
    """A load that lasts for ten rounds: by the law the rate would be missed, by blocks the threshold rises."""
    rng = np.random.default_rng(4)
    load = np.repeat(rng.standard_normal(HISTORY_NEEDED // BLOCK), BLOCK)
    z = (rng.standard_normal(HISTORY_NEEDED) + load) / math.sqrt(2.0)
    together = np.stack([0.5 * z - 0.125, z - 0.5], axis=-1)
    alone = gaussian_bets(rng, (HISTORY_NEEDED,))
    found = [own_history(bets, EVEN, np.random.default_rng(1), 250.0) for bets in (together, alone)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0] > found[1] + 1.0


def test_the_longer_run_length_follows_with_slope_one():
    bets = gaussian_bets(np.random.default_rng(5), (HISTORY_NEEDED,))
    near, far = (own_history(bets, EVEN, np.random.default_rng(1), length) for length in (250.0, 2_500.0))
    assert near is not None
    assert far is not None
    assert far - near == pytest.approx(math.log(10.0))


@pytest.mark.parametrize(
    ("found", "used", "source"),
    [
        (Thresholds(law=7.0), 7.0, "law"),
        (Thresholds(law=7.0, bootstrap=6.4), 6.4, "bootstrap"),
        (Thresholds(law=7.0, bootstrap=4.0), 5.5, "bootstrap"),
        (Thresholds(law=7.0, bootstrap=9.0), 8.5, "bootstrap"),
        (Thresholds(law=7.0, bootstrap=6.4, history=7.0), 6.7, "own history"),
        (Thresholds(law=7.0, history=3.0), 5.5, "own history"),
        (Thresholds(law=7.0, history=12.0), 9.5, "own history"),
        (Thresholds(law=7.0, history=8.0, rounds=4_000), 7.8, "own history"),
    ],
)
def test_own_history_counts_by_its_length_else_the_bootstrap_else_the_law(found, used, source):
    assert found.used == pytest.approx(used)
    assert found.correction == pytest.approx(used - 7.0)
    assert found.source == source


def test_all_three_are_told_and_when_they_disagree():
    assert Thresholds(law=7.05, bootstrap=6.8).sentence() == (
        "Threshold 6.80 by bootstrap (law 7.05, bootstrap 6.80)."
    )
    assert Thresholds(law=7.05, bootstrap=6.8, history=7.9).sentence() == (
        "Threshold 7.35 by own history (law 7.05, bootstrap 6.80, own history 7.90). "
        "They disagree by 1.1 nats: the lowest would alarm falsely 3.0 times as often as the highest."
    )


@pytest.mark.parametrize("detector", [RankBets(), FailureMixture()])
def test_the_law_follows_the_logarithm_of_the_run_length(detector):
    near, far = (law_threshold(detector, Reference(), length) for length in (500.0, 5_000.0))
    assert far - near == pytest.approx(math.log(10.0))


def test_the_bootstrap_of_any_detector_finds_the_same_for_the_same_draws():
    def draw(rng):
        pool = latency_pool(rng, 5)
        runs = {name(case): [seconds(rng, law) for _ in range(8)] for case, law in enumerate(pool)}

        def rounds():
            while True:
                yield [Observation(case=name(case), value=seconds(rng, law)) for case, law in enumerate(pool)]

        return runs, rounds()

    weights = np.full(len(LAWS), 1.0 / len(LAWS))
    found = [
        bootstrap(RankBets(), draw, weights, random.Random(1), replications=3, rounds=300) for _ in range(2)
    ]
    assert found[0] == found[1]
    assert -1.5 < found[0] < 1.5


def test_the_bootstrap_of_scores_lies_near_the_law_for_a_mixed_pool():
    pool = np.where((THETA > 0.02) & (THETA < 0.98), 1.0, 0.0)
    found = bootstrap_scores(
        pool, np.random.default_rng(1), cases=60, panel=20, runs=5, replications=20, rounds=500
    )
    assert -1.5 < found < 1.0


def test_a_bootstrap_is_kept_for_pools_that_hardly_differ():
    pool = [0.2, 0.8]
    key = bootstrap_key(pool, cases=500, panel=20, runs=5)
    assert key == bootstrap_key([0.201, 0.799], cases=500, panel=20, runs=5)
    assert key != bootstrap_key([0.3, 0.7], cases=500, panel=20, runs=5)
    assert key != bootstrap_key(pool, cases=400, panel=20, runs=5)
    assert key != bootstrap_key(pool, cases=500, panel=20, runs=5, asks="bursts")
