"""Distributions of requests: what is in them, what is left out, and how sure they are."""

import math
import random
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from scipy.stats import t as student

from monitor.distribution import distribution, quantile_ranks
from monitor.speed import (
    ANSWERED,
    FAILED,
    MEASURED,
    NOT_ASKED,
    Requests,
    Speed,
    counted_as,
    speeds,
)
from probes import OURS, Outcome

_COLUMNS = {
    "elapsed": 2.0,
    "lag": 0.0,
    "first_token": 0.5,
    "between_tokens": 0.1,
    "output_tokens": 16.0,
    "reasoning_tokens": math.nan,
    "cost": 0.001,
    "reused": 1.0,
}


def _requests(*rows: dict[str, Any]) -> Requests:
    keys: dict[Any, int] = {}
    index = [keys.setdefault(row.get("key", ("bot", "quality", "s/a")), len(keys)) for row in rows]
    columns = {
        name: np.array([row.get(name, usual) for row in rows], dtype=float)
        for name, usual in _COLUMNS.items()
    }
    ended = np.array([row.get("ended", ANSWERED) for row in rows])
    return Requests(keys=list(keys), key=np.array(index), ended=ended, **columns)


def _one(*rows: dict[str, Any]) -> Speed:
    (made,) = speeds(_requests(*rows), lambda key: ("",))
    return made


def _mean(measure: str, **row: Any) -> float | None:
    seen = _one(row).measures[measure]
    return None if seen is None else seen.mean.value


def _median_unbiased(ordered: list[float], q: float) -> float:
    place = min(max((len(ordered) + 1 / 3) * q + 1 / 3, 1), len(ordered))
    rank = int(place)
    above = ordered[min(rank, len(ordered) - 1)]
    return ordered[rank - 1] + (place - rank) * (above - ordered[rank - 1])


@given(st.lists(st.floats(1e-4, 1e4), min_size=2, max_size=300))
def test_the_numbers_are_those_of_the_books(values: list[float]) -> None:
    seen = distribution(np.array(values))
    assert seen is not None
    assert (seen.n, seen.min, seen.max) == (len(values), min(values), max(values))
    assert seen.mean.value == pytest.approx(statistics.fmean(values))
    assert seen.median.value == pytest.approx(statistics.median(values))
    assert seen.std == pytest.approx(statistics.stdev(values), rel=1e-6, abs=1e-9)
    for q, each in ((0.9, seen.p90), (0.95, seen.p95), (0.99, seen.p99)):
        assert each.value == pytest.approx(_median_unbiased(sorted(values), q))
    half = student.ppf(0.975, len(values) - 1) * seen.std / math.sqrt(len(values))
    assert seen.mean.low == pytest.approx(seen.mean.value - half, abs=1e-6)
    for each in (seen.median, seen.p90, seen.p95, seen.p99):
        assert each.low is None or each.low <= each.value + 1e-9
        assert each.high is None or each.high >= each.value - 1e-9


def test_nothing_has_no_distribution_and_one_reply_has_no_spread() -> None:
    assert distribution(np.array([])) is None
    one = distribution(np.array([0.4]))
    assert one is not None
    assert (one.n, one.std, one.mean.low, one.mean.high, one.p99.high) == (1, None, None, None, None)


@given(st.integers(1, 5_000), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_ranks_of_a_quantile_cover_it_and_no_narrower_ones_on_either_side_do(n: int, q: float) -> None:
    low, high = quantile_ranks(n, q)
    below = binom(n, q).cdf
    if low is not None:
        assert below(low) <= 0.025 + 1e-12 < below(low + 1) + 1e-9
    else:
        assert below(0) > 0.025 - 1e-12
    if high is not None:
        assert 1 - below(high) <= 0.025 + 1e-12
        assert 1 - below(high - 1) > 0.025 - 1e-12
    else:
        assert 1 - below(n - 1) > 0.025 - 1e-12


def test_the_interval_of_a_quantile_holds_it_in_19_of_20_samples() -> None:
    rng = random.Random(1)
    true, held, tries = math.exp(1.2815515655446004), 0, 1_000
    for _ in range(tries):
        seen = distribution(np.array([rng.lognormvariate(0, 1) for _ in range(200)]))
        assert seen is not None
        low, high = seen.p90.low, seen.p90.high
        held += (low is None or low <= true) and (high is None or true <= high)
    assert held / tries >= 0.94


def test_fifty_requests_cannot_bound_the_99th_percentile_from_above() -> None:
    assert quantile_ranks(50, 0.99)[1] is None
    assert quantile_ranks(1_000, 0.99)[1] is not None


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_counts_once(outcome: Outcome) -> None:
    wanted = ANSWERED if outcome is Outcome.OK else NOT_ASKED if outcome in OURS else FAILED
    assert counted_as(str(outcome)) == wanted


def test_failed_and_given_up_requests_are_counted_and_not_timed() -> None:
    made = _one({}, {}, {"ended": FAILED, "elapsed": 60.0}, {"ended": NOT_ASKED, "elapsed": 0.0})
    assert (made.requests, made.answered, made.failed, made.not_asked) == (4, 2, 1, 1)
    latency = made.measures["latency"]
    assert latency is not None
    assert (latency.n, latency.max) == (2, 2.0)


def test_a_time_that_our_lateness_may_have_spoilt_is_left_out_and_counted() -> None:
    made = _one({}, {"lag": 0.1}, {"lag": 0.3})
    latency, first = made.measures["latency"], made.measures["time_to_first_token"]
    assert latency is not None
    assert first is not None
    assert (latency.n, latency.distrusted) == (2, 1)
    assert (first.n, first.distrusted) == (1, 2)
    assert made.measures["cost"].n == 3  # type: ignore[union-attr]  # lateness spoils no price


def test_tokens_a_second_are_those_after_the_first_over_the_time_after_it() -> None:
    assert _mean("tokens_per_second") == pytest.approx(15 / 1.5)


def test_reasoning_came_before_the_first_token_and_does_not_speed_the_rest_up() -> None:
    assert _mean("tokens_per_second", output_tokens=116.0, reasoning_tokens=100.0) == pytest.approx(15 / 1.5)


def test_without_a_stream_all_output_is_made_in_all_the_time() -> None:
    whole = {"first_token": math.nan, "between_tokens": math.nan}
    assert _mean("tokens_per_second", **whole) == pytest.approx(8.0)


@pytest.mark.parametrize(
    "row",
    [
        {"between_tokens": math.nan},  # the stream came in one piece
        {"output_tokens": math.nan},
        {"output_tokens": 1.0},
        {"first_token": 2.0},
        {"output_tokens": 16.0, "reasoning_tokens": 16.0},
    ],
)
def test_where_no_speed_can_be_told_none_is(row: dict[str, Any]) -> None:
    assert _mean("tokens_per_second", **row) is None


def test_what_was_never_seen_is_none_and_no_zero() -> None:
    made = _one(dict.fromkeys(_COLUMNS, math.nan) | {"lag": 0.0, "reused": 0.0})
    assert made.measures == dict.fromkeys(MEASURED)
    assert (made.spent_usd, made.unpriced) == (None, 1)


def test_money_adds_up_over_failures_too_and_unknown_costs_are_counted() -> None:
    made = _one({}, {"cost": math.nan}, {"ended": FAILED, "cost": 0.002})
    assert made.spent_usd == pytest.approx(0.003)
    assert made.unpriced == 1
    assert made.measures["cost"].n == 1  # type: ignore[union-attr]  # the one reply whose cost is known


def test_a_free_endpoint_costs_nothing_and_that_is_known() -> None:
    made = _one({"cost": 0.0})
    assert (made.spent_usd, made.measures["cost"].max) == (0.0, 0.0)  # type: ignore[union-attr]


def test_the_share_of_kept_connections_carries_its_interval() -> None:
    made = _one(*({"reused": float(n % 4 > 0)} for n in range(40)))
    assert made.reused is not None
    assert made.reused.value == 0.75
    assert made.reused.low < 0.75 < made.reused.high  # type: ignore[operator]


def test_a_request_is_in_every_group_that_its_key_names_or_in_none() -> None:
    rows = [{"key": ("bot", "quality", case)} for case in ("s/a", "s/b", "s/c")]
    rows.append({"key": ("other", "quality", "s/a")})
    tags = {"s/a": ("hard", "new"), "s/b": ("hard",)}
    made = speeds(_requests(*rows), lambda key: tags.get(key[2], ()))
    assert [(each.endpoint, each.group, each.requests) for each in made] == [
        ("bot", "hard", 2),
        ("bot", "new", 1),
        ("other", "hard", 1),
        ("other", "new", 1),
    ]
