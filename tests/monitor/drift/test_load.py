import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.drift.load import BLOCK, BLOCKS_HELD, Load


def learnt(rounds, z):
    load = Load()
    for _ in range(rounds):
        load = load.after(z())
    return load


def test_independent_rounds_are_hardly_tempered():
    found = []
    for seed in range(30):
        rng = random.Random(seed)
        found.append(learnt(1_000, lambda rng=rng: rng.gauss(0.0, 1.0)).temper)
    assert sum(found) / len(found) > 0.93


def test_a_load_that_lasts_is_found():
    """Round sums of variance 1 + 1.35 with an AR(1) of phi .8: in the long run 1 + 1.35 * 9 = 13."""
    found = []
    for seed in range(30):
        rng, state = random.Random(seed), [0.0]

        def z(rng=rng, state=state):
            state[0] = 0.8 * state[0] + math.sqrt(1.35 * 0.36) * rng.gauss(0.0, 1.0)
            return state[0] + rng.gauss(0.0, 1.0)

        found.append(learnt(2_000, z).dispersion)
    assert 8.0 < sum(found) / len(found) < 14.0  # blocks of 20 rounds see about 10


def test_one_bad_block_does_not_count_for_more_than_three_deviations():
    load = learnt(BLOCK, lambda: 50.0)
    assert load.dispersion == pytest.approx((4.0 + 9.0) / 5.0)


def test_it_holds_in_the_end():
    load = learnt(BLOCK * BLOCKS_HELD, lambda: 1.0)
    assert load.after(7.0) == load


@given(st.lists(st.floats(-40.0, 40.0), max_size=200))
def test_bets_are_never_raised_and_never_lost(seen):
    rounds = iter(seen)
    load = learnt(len(seen), lambda: next(rounds))
    assert 0.0 < load.temper <= 1.0
    assert Load.load(load.dump()) == load
