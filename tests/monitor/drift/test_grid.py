import math

import numpy as np
import pytest

from monitor.drift.grid import (
    LOGITS,
    PSEUDO_CASES,
    STEPS,
    STEPS_WARM,
    THETA,
    fit_weights,
    moved,
    posterior,
    shift_to,
)
from monitor.drift.laws import (
    ABILITY,
    CHURN,
    CHURNED,
    DOUBLE,
    FAILURE,
    GAIN,
    NULL,
    RARE,
    SLICE,
    Laws,
    at_stake,
    log_bets,
    mixture_weights,
)
from monitor.drift.lookup import BETS, ENTRIES_HELD, Lookup, with_repeats


def by_hand(counts, steps, start=None):
    """The EM of the specification, sum by sum."""
    weights = list(start) if start is not None else [1 / 41] * 41
    for _ in range(steps):
        totals = [0.0] * 41
        for passes, runs in counts:
            shares = [w * t**passes * (1 - t) ** (runs - passes) for w, t in zip(weights, THETA, strict=True)]
            whole = sum(shares)
            totals = [total + share / whole for total, share in zip(totals, shares, strict=True)]
        weights = [(total + 5 / 41) / (len(counts) + 5) for total in totals]
    return weights


def test_the_grid_is_even_in_logit():
    assert len(LOGITS) == 41
    assert LOGITS[0] == -6.2
    assert LOGITS[-1] == 6.2
    assert np.allclose(np.diff(LOGITS), 0.31)


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param([(3, 5), (5, 5), (0, 4), (1, 1)], id="unequal runs"),
        pytest.param([(5, 5)] * 6, id="all pass"),
        pytest.param([(0, 3)] * 2, id="all fail"),
        pytest.param([(1, 1), (0, 1)], id="single runs"),
    ],
)
def test_the_fit_is_the_em_of_the_specification(counts):
    found = fit_weights(np.array(counts, dtype=float))
    assert np.allclose(found, by_hand(counts, STEPS), rtol=1e-9)
    warm = fit_weights(np.array(counts, dtype=float), start=found)
    assert np.allclose(warm, by_hand(counts, STEPS_WARM, found), rtol=1e-9)


def test_cases_with_equal_counts_can_be_given_once():
    one_by_one = fit_weights(np.array([(3.0, 5.0)] * 7 + [(5.0, 5.0)] * 2))
    assert np.allclose(
        one_by_one, fit_weights(np.array([(3.0, 5.0), (5.0, 5.0)]), times=np.array([7.0, 2.0]))
    )


def test_several_pools_are_fitted_as_each_alone():
    counts = np.array([[(3.0, 5.0), (5.0, 5.0)], [(0.0, 5.0), (1.0, 5.0)]])
    together = fit_weights(counts)
    assert np.allclose(together[0], fit_weights(counts[0]))
    assert np.allclose(together[1], fit_weights(counts[1]))


@pytest.mark.parametrize("counts", [(0.0, 10_000.0), (10_000.0, 10_000.0), (5_000.0, 10_000.0)])
def test_many_runs_do_not_underflow(counts):
    weights = fit_weights(np.array([counts] * 3))
    assert np.isfinite(weights).all()
    assert weights.sum() == pytest.approx(1.0)
    assert np.isfinite(posterior(np.log(weights), np.array([counts]))).all()


def test_five_cases_keep_the_pool_from_certainty():
    weights = fit_weights(np.array([(3.0, 3.0)] * 20))
    assert weights.min() == pytest.approx(PSEUDO_CASES / 41 / 25, rel=0.1)


def test_the_posterior_is_bayes():
    weights = np.full(41, 1 / 41)
    held = posterior(np.log(weights), np.array([(2.0, 3.0)]))[0]
    shares = [t**2 * (1 - t) for t in THETA]
    assert np.allclose(held, np.array(shares) / sum(shares))


@pytest.fixture
def weights():
    return fit_weights(np.array([(5.0, 5.0)] * 30 + [(2.0, 5.0)] * 6 + [(0.0, 5.0)] * 4))


def test_the_ability_law_lowers_the_pool_by_five_points_and_a_gain_raises_it(weights):
    laws = Laws.of(weights)
    mean = weights @ THETA
    assert weights @ laws.passes[:, ABILITY] == pytest.approx(mean - 0.05)
    assert weights @ laws.passes[:, GAIN] == pytest.approx(mean + 0.05)


def test_a_low_or_a_high_pool_is_moved_as_far_as_it_has_room():
    low = Laws.of(fit_weights(np.array([(0.0, 50.0)] * 200)))
    pool = np.exp(low.log_weights)
    assert low.mean < 0.05
    assert pool @ low.passes[:, ABILITY] == pytest.approx(0.4 * low.mean)
    high = Laws.of(fit_weights(np.array([(50.0, 50.0)] * 200)))
    pool = np.exp(high.log_weights)
    assert pool @ high.passes[:, GAIN] == pytest.approx(high.mean + 0.6 * (1 - high.mean))


def test_the_other_laws_are_those_of_the_specification(weights):
    laws = Laws.of(weights)
    assert np.allclose(laws.passes[:, NULL], THETA)
    # None falls below the grid's lowest point.
    assert np.allclose(laws.passes[:, FAILURE], np.maximum(0.94 * THETA, THETA[0]))
    assert np.allclose(laws.passes[:, RARE], np.maximum(0.98 * THETA, THETA[0]))
    double = max(1.6, 2 * float(laws.shift))
    assert np.allclose(laws.passes[:, DOUBLE], np.maximum(1 / (1 + np.exp(-(LOGITS - double))), THETA[0]))
    assert np.allclose(laws.passes[:, SLICE], np.maximum(1 / (1 + np.exp(-(LOGITS - 1.6))), THETA[0]))


def test_every_law_adds_up_to_one_over_the_replies_of_a_visit(weights):
    laws = Laws.of(weights)
    before = np.array([(4.0, 6.0)] * 4)
    hits = np.arange(4.0)
    found = laws.visits(before, hits, np.full(4, 3.0))
    ways = np.array([math.comb(3, int(s)) for s in hits])
    assert np.allclose(ways @ found, 1.0)


def test_a_visit_of_one_reply_is_that_reply(weights):
    laws = Laws.of(weights)
    before = np.array([(4.0, 6.0), (0.0, 3.0)])
    passes = laws.single(before)
    whole = laws.visits(before, np.array([1.0, 0.0]), np.array([1.0, 1.0]))
    assert np.allclose(whole[0], passes[0])
    assert np.allclose(whole[1], 1 - passes[1])


def test_churn_deals_fifteen_cases_in_a_hundred_anew(weights):
    laws = Laws.of(weights)
    found = laws.visits(np.array([(6.0, 6.0)]), np.array([0.0]), np.array([3.0]))[0]
    anew = weights @ (1 - THETA) ** 3
    assert found[CHURN] == pytest.approx((1 - CHURNED) * found[NULL] + CHURNED * anew)


def test_the_bets_are_fair_under_the_null_and_with_replies_that_repeat(weights):
    laws = Laws.of(weights)
    before = np.array([(4.0, 6.0)] * 4)
    hits, replies = np.array([0.0, 1.0, 2.0, 3.0]), np.full(4, 3.0)
    ways = np.array([1, 3, 3, 1])
    whole = laws.visits(before, hits, replies)
    passes = laws.single(before)
    # The first reply failed: two more follow, both like it with probability rho for reasons of their own.
    first, rho = 1 - passes[0, NULL], 0.2
    null = (1 - rho) * np.array([1.0, 2.0, 1.0]) * whole[:3, NULL] / first + rho * np.array([1.0, 0.0, 0.0])
    assert null.sum() == pytest.approx(1.0)
    later = Lookup(laws).later([(4.0, 6, 0, hits, 3) for hits in range(3)])
    factors = np.exp([with_repeats(one, rho)[BETS:] for one in later])
    assert np.allclose(null @ factors, 1.0)
    assert np.allclose((ways * whole[:, NULL]) @ np.exp(log_bets(whole)), 1.0)


def test_a_visit_is_found_as_it_is_computed_whatever_was_looked_up_before(weights):
    laws = Laws.of(weights)
    keys = [(float(n % 7), 9, n % 2, 1) for n in range(14)]
    alone = [Lookup(laws).first([key])[0] for key in keys]
    lookup = Lookup(laws)
    for n in range(ENTRIES_HELD + 10):
        lookup.first([(float(n), n + 1, 0, 1)])
    assert lookup.first(keys) == alone
    assert lookup.first(keys[::-1]) == alone[::-1]
    passes = laws.single(np.array([(6.0, 9.0)]))
    assert alone[13].row[BETS:] == pytest.approx(log_bets(passes)[0])
    assert alone[13].row[:BETS] == pytest.approx((1 - passes[0, NULL], (1 - passes[0, NULL]) ** 2))


def test_a_case_with_nothing_to_lose_bears_no_evidence_of_a_loss(weights):
    laws = Laws.of(weights)
    before = np.array([(0.0, 400.0), (400.0, 400.0), (200.0, 400.0)])
    passes = laws.single(before)
    bets = at_stake(log_bets(1 - passes), passes[:, NULL])
    assert np.flatnonzero(bets[0]).tolist() == [GAIN - 1, GAIN, CHURN - 1]
    assert np.flatnonzero(bets[1] == 0.0).tolist() == [GAIN - 1, GAIN]
    assert (bets[2] != 0.0).all()


@pytest.mark.parametrize("slices", [0, 1, 10])
def test_slices_have_fifteen_percent_together(slices):
    found = mixture_weights(5 + 2 * slices)
    assert found.sum() == pytest.approx(1.0)
    assert found[5:].sum() == pytest.approx(0.15 if slices else 0.0)
    assert np.allclose(found[:5] / found[0], np.array([0.5, 0.1, 0.15, 0.1, 0.15]) / 0.5)


def test_a_shift_is_found_for_any_mean(weights):
    for mean in (0.2, 0.5, 0.95):
        shift = shift_to(weights, np.array(mean))
        assert weights @ moved(shift) == pytest.approx(mean)
