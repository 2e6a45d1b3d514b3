"""A round asks for its money and its pace before it spends them."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from monitor.config.model import Limits, Price
from monitor.price import cost_nano
from monitor.purse import Purse, worst_nano
from monitor.store import ledger
from monitor.store.engine import Store
from monitor.store.errors import Superseded
from monitor.store.ledger import Bill
from monitor.store.rounds import Claim
from monitor.store.tables import gates, permits
from probes import Case, Outcome, Usage
from tests.conftest import START, Clock
from tests.monitor.store.build import opened
from tests.rotation.build import case

_PRICE = Price(input_per_mtok=1.0, output_per_mtok=4.0)


def _case(text: str = "hello", **fields: Any) -> Case:
    return case("c", text, **fields)


_TIMEOUT = 60.0
_NEED = worst_nano(_PRICE, _case(), 100, _TIMEOUT)


def _purse(store: Store, claim: Claim, clock: Clock, draining: bool = False, **changes: Any) -> Purse:
    limits, price = Limits(**changes.pop("limits", {})), changes.pop("price", _PRICE)
    return Purse(
        store,
        claim,
        "bot",
        limits,
        price,
        asks=changes.pop("asks", 20),
        max_tokens=100,
        timeout=_TIMEOUT,
        clock=clock,
        draining=lambda: draining,
    )


@pytest.fixture
async def claim(store: Store) -> Claim:
    """An open round with a permit."""
    (made,) = await opened(store, 1)
    await ledger.enter(store, made, "bot", wanted=1, limit=8, day=START.date())
    return made


async def _money(store: Store) -> tuple[int, int]:
    async with store.read() as connection:
        return (await ledger.spent_today(connection, START.date())).get("bot", (0, 0))


async def _next_free(store: Store) -> datetime:
    async with store.read() as connection:
        free: datetime = (await connection.execute(select(gates.c.next_free))).scalar_one()
        return free


async def test_without_limits_everything_may_go_and_the_store_is_not_asked(
    clock: Clock, claim: Claim
) -> None:
    away = Store("postgresql://nobody@127.0.0.1:1/db")
    purse = _purse(away, claim, clock, price=None)
    assert [await purse.admit(n, _case()) for n in range(3)] == [None] * 3
    await away.close()


async def test_an_unpriced_model_under_a_dollar_cap_gets_nothing(
    store: Store, claim: Claim, clock: Clock
) -> None:
    purse = _purse(store, claim, clock, price=None, limits={"usd_per_day": 1_000.0})
    assert await purse.admit(0, _case()) is Outcome.NO_BUDGET
    assert await _money(store) == (0, 0)


@pytest.mark.parametrize("affordable", [0, 1, 5, 17])
async def test_exactly_what_the_cap_affords_may_go(
    store: Store, claim: Claim, clock: Clock, affordable: int
) -> None:
    cap = (affordable * _NEED + _NEED - 1) / 1e9
    purse = _purse(store, claim, clock, limits={"usd_per_day": cap})
    ends = [await purse.admit(n, _case()) for n in range(20)]
    assert ends == [None] * affordable + [Outcome.NO_BUDGET] * (20 - affordable)
    spent, reserved = await _money(store)
    assert (spent, reserved) == (0, affordable * _NEED)


async def test_rounds_of_two_replicas_share_one_cap(store: Store, store_url: str, clock: Clock) -> None:
    other = Store(store_url)
    claims = await opened(store, 4)
    for each in claims:
        await ledger.enter(store, each, "bot", wanted=1, limit=8, day=START.date())
    limits = {"usd_per_day": 30 * _NEED / 1e9}
    purses = [
        _purse(pick, each, clock, limits=limits)
        for pick, each in zip([store, other] * 2, claims, strict=True)
    ]
    ends = await asyncio.gather(*(purse.admit(n, _case()) for n in range(15) for purse in purses))
    # What one round holds in reserve the others cannot have, so a few may be left over; never one too many.
    assert 20 <= ends.count(None) <= 30
    await other.close()


async def test_what_was_set_aside_is_settled_and_the_rest_comes_back(
    store: Store, claim: Claim, clock: Clock
) -> None:
    purse = _purse(store, claim, clock, limits={"usd_per_day": 1.0})
    for n in range(3):
        await purse.admit(n, _case())
    released = purse.release([0, 1, 99])
    assert released == 2 * _NEED
    assert purse.release([0, 1]) == 0, "once"
    async with store.write() as connection:
        bill = Bill(endpoint="bot", day=purse.day, requests=2, released_nano=released, spent_nano=7)
        await ledger.settle(connection, store, claim, bill)
    spent, reserved = await _money(store)
    assert spent == 7
    assert reserved >= _NEED, "the third is on its way, and a block was set aside"
    async with store.write() as connection:
        await ledger.leave(connection, claim.id)
    assert await _money(store) == (7, 0)


async def test_a_round_that_lost_its_permit_learns_it(store: Store, claim: Claim, clock: Clock) -> None:
    async with store.write() as connection:
        await ledger.leave(connection, claim.id)
    with pytest.raises(Superseded):
        await _purse(store, claim, clock, limits={"usd_per_day": 1.0}).admit(0, _case())


@pytest.mark.parametrize("limits", [{"usd_per_day": 1.0}, {"requests_per_minute": 10}])
async def test_where_the_store_is_away_nothing_is_asked(
    claim: Claim, clock: Clock, limits: dict[str, Any]
) -> None:
    away = Store("postgresql://nobody@127.0.0.1:1/db")
    assert await _purse(away, claim, clock, limits=limits).admit(0, _case()) is Outcome.STORE_BUSY
    await away.close()


async def test_a_drain_stops_what_has_not_begun(store: Store, claim: Claim, clock: Clock) -> None:
    purse = _purse(store, claim, clock, draining=True, limits={"usd_per_day": 1.0})
    assert await purse.admit(0, _case()) is Outcome.DRAINED
    assert await purse.enter(5) == 0
    assert await _money(store) == (0, 0)


async def test_a_round_enters_with_what_is_free(store: Store, clock: Clock) -> None:
    first, second = await opened(store, 2)
    assert await _purse(store, first, clock, limits={"concurrency": 5}).enter(3) == 3
    assert await _purse(store, second, clock, limits={"concurrency": 5}).enter(3) == 2
    async with store.read() as connection:
        assert set((await connection.execute(select(permits.c.day))).scalars()) == {START.date()}


async def test_a_round_s_money_belongs_to_the_day_it_began_on(
    store: Store, claim: Claim, clock: Clock
) -> None:
    clock.now = START.replace(hour=23, minute=59, second=59)
    purse = _purse(store, claim, clock, limits={"usd_per_day": 1.0})
    clock.advance(hours=1)
    assert await purse.admit(0, _case()) is None
    assert (await _money(store))[1] > 0


async def test_starts_are_booked_ahead_in_blocks_of_at_most_a_second(
    store: Store, claim: Claim, clock: Clock
) -> None:
    fast = _purse(store, claim, clock, limits={"requests_per_minute": 60_000, "concurrency": 8})
    assert [await fast.admit(n, _case()) for n in range(20)] == [None] * 20
    slow = _purse(store, claim, clock, limits={"requests_per_minute": 60, "concurrency": 8})
    before = await _next_free(store)
    assert await slow.admit(0, _case()) is None
    assert (await _next_free(store) - before).total_seconds() >= 1
    booked = await ledger.pace(store, "bot", requests=1, per_minute=60)
    assert booked <= 1.0, "one start was booked, and not the whole round"


async def test_a_start_that_nobody_used_in_time_is_not_used_late(
    store: Store, claim: Claim, clock: Clock
) -> None:
    purse = _purse(store, claim, clock, limits={"requests_per_minute": 60_000, "concurrency": 8})
    assert await purse.admit(0, _case()) is None
    booked = await _next_free(store)  # sixteen starts, one millisecond apart
    await asyncio.sleep(0.05)  # all of them pass
    async with store.read() as connection:
        now = (await connection.execute(select(store.now()))).scalar_one()
    assert booked < now
    assert await purse.admit(1, _case()) is None
    assert await _next_free(store) > now, "it booked again"


_tokens = st.integers(0, 10**6)
_dollars = st.floats(0, 1000)


@given(_tokens, _tokens, _dollars, _dollars)
def test_a_reply_s_cost_is_its_tokens_at_their_price(
    inn: int, out: int, per_in: float, per_out: float
) -> None:
    cost = cost_nano(
        Price(input_per_mtok=per_in, output_per_mtok=per_out), Usage(input_tokens=inn, output_tokens=out)
    )
    assert cost is not None
    assert cost == pytest.approx((inn * per_in + out * per_out) * 1_000, abs=1)


def test_an_unknown_price_or_count_is_no_cost() -> None:
    assert cost_nano(None, Usage(input_tokens=1, output_tokens=1)) is None
    assert cost_nano(_PRICE, Usage(input_tokens=1)) is None
    assert cost_nano(_PRICE, Usage(output_tokens=1)) is None
    assert cost_nano(Price(input_per_mtok=0, output_per_mtok=0), Usage(input_tokens=1, output_tokens=1)) == 0


@given(st.text(max_size=300), st.integers(1, 4_096))
def test_what_an_attempt_may_cost_covers_a_full_answer(text: str, most: int) -> None:
    # A byte is never less than a third of a token of any tokenizer in use, special tokens aside.
    usage = Usage(input_tokens=len(text.encode("utf-8", "replace")) // 3, output_tokens=most)
    real = cost_nano(_PRICE, usage)
    assert real is not None
    for params in ({"max_tokens": most}, {"max_completion_tokens": most}):
        assert worst_nano(_PRICE, _case(text, params=params), 10_000, _TIMEOUT) >= real
    assert worst_nano(_PRICE, _case(text), most, _TIMEOUT) >= real
    assert worst_nano(_PRICE, _case(text, params={"max_tokens": None}), None, _TIMEOUT) > 0


def test_tools_and_image_parts_cost_too() -> None:
    tool = {"type": "function", "function": {"name": "look_up", "description": "x" * 3_000}}
    assert worst_nano(_PRICE, _case(tools=(tool,)), 100, _TIMEOUT) >= _NEED + 1_000_000
