"""What a round says in numbers, and that it says no more than it knows."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from monitor.stat import merge, quantile, sketch, summarise, wilson

_share = st.floats(0, 1)
_seconds = st.floats(1e-4, 1e4)
_weight = st.floats(0.1, 10)


def test_nothing_says_nothing() -> None:
    assert summarise([], [], share=True) is None
    assert quantile({}, 0.5) is None


@given(st.lists(st.tuples(_share, _weight), min_size=1, max_size=60))
def test_a_share_lies_in_its_interval_and_the_interval_in_0_to_1(pairs: list[tuple[float, float]]) -> None:
    stat = summarise([x for x, _ in pairs], [w for _, w in pairs], share=True)
    assert stat is not None
    assert stat.n == len(pairs)
    assert 0 <= stat.low <= stat.mean + 1e-9
    assert stat.mean - 1e-9 <= stat.high <= 1
    assert stat.high > stat.low, "no number of replies makes a share certain"
    assert stat.sketch is None


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy(of: tuple[int, int]) -> None:
    right, n = of
    theirs = binomtest(right, n).proportion_ci(method="wilson")
    assert wilson(right / n, n) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@given(st.lists(st.tuples(_seconds, _weight), min_size=2, max_size=60), st.floats(0.01, 100))
def test_only_the_proportion_of_weights_counts(pairs: list[tuple[float, float]], scale: float) -> None:
    values = [x for x, _ in pairs]
    one = summarise(values, [w for _, w in pairs], share=False)
    other = summarise(values, [w * scale for _, w in pairs], share=False)
    assert one is not None
    assert other is not None
    assert (one.mean, one.variance) == pytest.approx((other.mean, other.variance), rel=1e-6, abs=1e-9)
    assert min(values) - 1e-9 <= one.mean <= max(values) * (1 + 1e-9)
    assert one.low <= one.mean <= one.high


def test_unequal_weights_are_worth_fewer_replies() -> None:
    values = [0.0, 1.0] * 10
    even = summarise(values, [1.0] * 20, share=True)
    uneven = summarise(values, [10.0, 10.0] + [0.1] * 18, share=True)
    assert even is not None
    assert uneven is not None
    assert uneven.high - uneven.low > 1.5 * (even.high - even.low)


@given(st.lists(_seconds, min_size=1, max_size=80), st.floats(0, 1))
def test_a_quantile_of_a_sketch_is_within_one_percent(values: list[float], q: float) -> None:
    exact = sorted(values)[math.floor(q * (len(values) - 1))]
    assert quantile(sketch(values), q) == pytest.approx(exact, rel=0.01)


@given(st.lists(st.lists(_seconds, max_size=30), max_size=5))
def test_sketches_of_rounds_merge_into_the_sketch_of_all(rounds: list[list[float]]) -> None:
    assert merge([sketch(each) for each in rounds]) == sketch([x for each in rounds for x in each])
