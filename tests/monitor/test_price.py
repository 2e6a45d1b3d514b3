"""What a request costs: tokens by kind, and the time of a machine."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.config.model import Price
from monitor.price import cost_nano, result_nano
from monitor.purse import worst_nano
from probes import Ask, Outcome, Reply, Result, Timings, Usage
from tests.rotation.build import case

_tokens = st.integers(0, 10**6)
_dollars = st.floats(0, 1000)
_part = st.none() | _dollars


@given(_tokens, _tokens, _tokens, _tokens, _dollars, _dollars, _part, _part)
def test_each_kind_of_token_has_its_price(
    fresh: int,
    cached: int,
    said: int,
    reasoned: int,
    per_in: float,
    per_out: float,
    per_cached: float | None,
    per_reasoned: float | None,
) -> None:
    price = Price(
        input_per_mtok=per_in,
        output_per_mtok=per_out,
        cached_per_mtok=per_cached,
        reasoning_per_mtok=per_reasoned,
    )
    usage = Usage(
        input_tokens=fresh + cached,
        output_tokens=said + reasoned,
        cached_tokens=cached,
        reasoning_tokens=reasoned,
    )
    dear_cached = per_in if per_cached is None else per_cached
    dear_reasoned = per_out if per_reasoned is None else per_reasoned
    dollars = fresh * per_in + cached * dear_cached + said * per_out + reasoned * dear_reasoned
    assert cost_nano(price, usage) == pytest.approx(dollars * 1_000, abs=1)


def test_where_the_endpoint_does_not_say_what_was_cached_all_input_costs_alike() -> None:
    price = Price(input_per_mtok=10, output_per_mtok=0, cached_per_mtok=1)
    assert cost_nano(price, Usage(input_tokens=100, output_tokens=0)) == 1_000_000


def test_what_is_free_needs_no_count() -> None:
    assert cost_nano(Price(input_per_mtok=1, output_per_mtok=0), Usage(input_tokens=1_000)) == 1_000_000
    assert cost_nano(Price(input_per_mtok=1, output_per_mtok=0), Usage(output_tokens=1_000)) is None


def test_a_part_is_never_more_than_its_whole() -> None:
    price = Price(input_per_mtok=10, output_per_mtok=0, cached_per_mtok=1)
    assert cost_nano(price, Usage(input_tokens=100, output_tokens=0, cached_tokens=5_000)) == 100_000


def test_an_hour_of_the_machine_costs_its_price_and_needs_no_tokens() -> None:
    rented = Price(per_hour=3.6)
    assert cost_nano(rented, Usage(), 1.0) == 1_000_000
    assert cost_nano(rented, Usage(input_tokens=10**6, output_tokens=10**6), 3_600.0) == 3_600_000_000
    assert cost_nano(rented, Usage(), -5.0) == 0, "no clock gives money back"


def test_tokens_and_hours_add_up_and_an_unknown_count_leaves_the_sum_unknown() -> None:
    both = Price(input_per_mtok=1, output_per_mtok=2, per_hour=3.6)
    assert cost_nano(both, Usage(input_tokens=1_000, output_tokens=1_000), 2.0) == 3_000_000 + 2_000_000
    assert cost_nano(both, Usage(input_tokens=1_000), 2.0) is None
    assert cost_nano(Price(input_per_mtok=1, per_hour=0), Usage(input_tokens=1_000)) == 1_000_000


def _result(outcome: Outcome, reply: Reply | None) -> Result:
    ask = Ask(seq=0, case=case("c", "hello"), scorers={})
    return Result(
        ask=ask, started=datetime(2026, 3, 2, tzinfo=UTC), outcome=outcome, elapsed=10.0, reply=reply
    )


def test_a_failed_attempt_costs_the_machine_its_time_and_unknown_tokens() -> None:
    failed = _result(Outcome.TIMEOUT, None)
    assert result_nano(Price(per_hour=3.6), failed) == 10_000_000
    assert result_nano(Price(input_per_mtok=1, output_per_mtok=1), failed) is None
    assert result_nano(None, failed) is None
    reply = Reply(text="hi", timings=Timings(total=2.0), usage=Usage(input_tokens=1, output_tokens=1))
    assert result_nano(Price(per_hour=3.6), _result(Outcome.OK, reply)) == 2_000_000


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"input_per_mtok": 1},
        {"output_per_mtok": 1},
        {"cached_per_mtok": 1},
        {"per_hour": -1},
        {"per_hour": 2_000_000},
        {"per_hour": float("inf")},
        {"input_per_mtok": 1, "output_per_mtok": 1, "cached_per_mtok": -0.1},
        {"input_per_mtok": 1, "output_per_mtok": 1, "reasoning_per_mtok": float("nan")},
        {"input_per_mtok": 2_000_000, "output_per_mtok": 1},
    ],
)
def test_a_price_that_cannot_be_meant_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Price.model_validate(written)


@given(_tokens, _tokens, st.floats(0, 60), st.tuples(_part, _part, _part))
def test_what_is_set_aside_covers_what_it_may_cost(
    cached: int, reasoned: int, seconds: float, prices: tuple[float | None, ...]
) -> None:
    per_cached, per_reasoned, per_hour = prices
    price = Price(
        input_per_mtok=1,
        output_per_mtok=4,
        cached_per_mtok=per_cached,
        reasoning_per_mtok=per_reasoned,
        per_hour=per_hour,
    )
    most = 1_000
    usage = Usage(
        input_tokens=4,  # "hello", and a little
        output_tokens=most,
        cached_tokens=min(cached, 4),
        reasoning_tokens=min(reasoned, most),
    )
    real = cost_nano(price, usage, seconds)
    assert real is not None
    assert worst_nano(price, case("c", "hello"), most, 60.0) >= real
