import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.drift.budget import run_lengths
from monitor.drift.detector import Verdict, VerdictKind
from monitor.drift.together import (
    LEAST_OF_EQUAL,
    Stream,
    allowances,
    days_between,
    part,
    pooled,
    rise,
    shares,
)

POSITIVE = st.floats(0.01, 1_000.0)
STREAMS = st.dictionaries(
    st.text(max_size=4),
    st.builds(
        Stream,
        endpoint=st.sampled_from("ab"),
        rounds_per_day=POSITIVE,
        information=POSITIVE,
        weight=POSITIVE,
    ),
    min_size=1,
    max_size=12,
)


def stream(rounds_per_day=96.0, information=0.4, endpoint="a", weight=1.0):
    return Stream(endpoint=endpoint, rounds_per_day=rounds_per_day, information=information, weight=weight)


def verdict(own, kind=VerdictKind.STEADY):
    return Verdict(kind=kind, evidence=7.0 + math.log(own), threshold=7.0)


@given(STREAMS)
def test_shares_add_up_and_nobody_gets_less_than_a_quarter_of_an_equal_one(streams):
    found = shares(streams)
    assert math.fsum(found.values()) == pytest.approx(1.0)
    assert min(found.values()) >= LEAST_OF_EQUAL / len(streams) * (1.0 - 1e-9)


def delay(rounds_per_day, information, share, days=30.0):
    """Days until a change is told: (ln(r T I / s) - 1) / (r I)."""
    length = rounds_per_day * days / share
    return (math.log(length * information) - 1.0) / (rounds_per_day * information)


@given(st.floats(0.05, 0.95))
def test_no_other_division_of_two_streams_makes_the_summed_delay_smaller(share):
    quick, slow = (96.0, 0.37), (24.0, 0.6)
    best = shares({"quick": stream(*quick), "slow": stream(*slow)})
    assert (
        delay(*quick, best["quick"]) + delay(*slow, best["slow"])
        <= delay(*quick, share) + delay(*slow, 1.0 - share) + 1e-12
    )


def test_a_user_may_weight():
    plain = shares({"a": stream(), "b": stream()})
    assert plain == {"a": 0.5, "b": 0.5}
    assert shares({"a": stream(weight=3.0), "b": stream()}) == pytest.approx({"a": 0.75, "b": 0.25})


def test_the_parts_of_an_endpoint_cost_its_budget_whatever_their_cadence():
    streams = {"quick": stream(96.0), "daily": stream(1.0, 0.1), "other": stream(24.0, endpoint="b")}
    found = allowances(streams, at_most=2.0, per_days=30.0)
    assert days_between(2, 2.0, 30.0) == 30.0
    a_month = sum(30.0 * streams[name].rounds_per_day / found[name].run_length for name in found)
    assert a_month == pytest.approx(2.0)
    assert found["other"].run_length == pytest.approx(24.0 * 30.0)


def test_one_stream_alone_has_what_plain_division_gives_it():
    assert allowances({"a": stream()}, 1.0, 30.0)["a"].run_length == run_lengths({"a": 96.0}, 1.0, 30.0)["a"]


def test_streams_that_rise_together_alarm_where_none_would_alone():
    others = [verdict(0.4), verdict(0.35)]
    assert pooled(others) == pytest.approx(0.75)
    assert 0.3 + pooled(others) >= 1.0


def test_a_changed_or_learning_stream_adds_nothing():
    assert part(verdict(3.0, VerdictKind.CHANGED)) == 0.0
    assert part(Verdict(kind=VerdictKind.LEARNING)) == 0.0
    assert part(verdict(3.0)) == 1.0


def test_a_stream_counts_as_moved_at_its_part_of_an_equal_say():
    found = allowances({"a": stream(), "b": stream(96.0, 4.0)}, 1.0, 30.0)
    assert found["a"].moved == pytest.approx(found["a"].share / 2.0)


def test_more_streams_raise_thresholds_by_the_logarithm_of_what_is_left():
    before = allowances({f"s{n}": stream() for n in range(42)}, 1.0, 30.0)
    after = allowances({f"s{n}": stream() for n in range(45)}, 1.0, 30.0)
    assert rise(before, after) == pytest.approx(math.log(45 / 42))
    assert round(rise(before, after), 2) == 0.07
    assert rise({}, after) == 0.0


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (stream(rounds_per_day=0.0), "the rounds a day of stream 'x'"),
        (stream(information=math.nan), "the information of stream 'x'"),
        (stream(weight=-1.0), "the weight of stream 'x'"),
    ],
)
def test_a_number_that_is_not_positive_is_named(wrong, named):
    with pytest.raises(ValueError, match=named):
        allowances({"x": wrong}, 1.0, 30.0)
