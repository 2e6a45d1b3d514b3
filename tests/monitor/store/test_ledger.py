"""Money, pace and concurrency hold over every round of every replica."""

import asyncio
import random
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import select, update

from monitor.store import ledger, rounds
from monitor.store.engine import Store
from monitor.store.errors import Superseded
from monitor.store.ledger import Bill
from monitor.store.rounds import Claim
from monitor.store.tables import gates, permits
from monitor.store.tables import ledger as ledger_table
from tests.conftest import START
from tests.monitor.store.build import claim, count, expire, open_round, opened

_DAY = START.date()


async def _enter(store: Store, of: Claim, wanted: int = 1, limit: int = 10_000) -> int:
    return await ledger.enter(store, of, of.endpoint, wanted=wanted, limit=limit, day=_DAY)


async def _reserve(store: Store, of: Claim, nano: int, cap: int) -> bool:
    return await ledger.reserve(store, of, of.endpoint, nano=nano, cap_nano=cap, day=_DAY)


async def _settle(store: Store, of: Claim, released: int, spent: int, day: date = _DAY) -> None:
    async with store.write() as connection:
        bill = Bill(
            endpoint=of.endpoint,
            day=day,
            requests=1,
            released_nano=released,
            spent_nano=spent,
            input_tokens=10,
            output_tokens=2,
        )
        await ledger.settle(connection, store, of, bill)


async def _leave(store: Store, of: Claim) -> None:
    async with store.write() as connection:
        await ledger.leave(connection, of.id)


async def _money(store: Store, endpoint: str = "bot") -> tuple[int, int]:
    async with store.read() as connection:
        return (await ledger.spent_today(connection, _DAY)).get(endpoint, (0, 0))


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_rounds_together_never_set_aside_more_than_the_cap(
    pair: tuple[Store, Store], seed: int
) -> None:
    rng, cap = random.Random(seed), 1_000
    claims = await opened(pair[0], 6)
    for each in claims:
        await _enter(pair[0], each)

    async def spend(of: Claim, store: Store) -> int:
        paid = 0
        for _ in range(8):
            nano = rng.randrange(1, 120)
            if await _reserve(store, of, nano, cap):
                spent, reserved = await _money(store)
                assert spent + reserved <= cap
                if rng.random() < 0.8:
                    real = rng.randrange(nano + 1)
                    await _settle(store, of, nano, real)
                    paid += real
        await _leave(store, of)
        return paid

    paid = await asyncio.gather(*(spend(each, pair[n % 2]) for n, each in enumerate(claims)))
    assert await _money(pair[1]) == (sum(paid), 0)
    assert await count(pair[0], permits) == 0


async def test_the_last_of_a_day_s_money_can_be_spent_and_not_a_nano_more(store: Store) -> None:
    (one,) = await opened(store, 1)
    await _enter(store, one)
    assert await _reserve(store, one, 60, 100)
    assert not await _reserve(store, one, 41, 100)
    assert await _reserve(store, one, 40, 100)
    assert not await _reserve(store, one, 1, 100)
    await _settle(store, one, 60, 25)
    assert await _money(store) == (25, 40)
    assert await _reserve(store, one, 35, 100)
    await _leave(store, one)
    assert await _money(store) == (25, 0)
    await _leave(store, one)  # a second time gives nothing back
    assert await _money(store) == (25, 0)


async def test_money_is_counted_for_each_endpoint_and_day(store: Store) -> None:
    here, there = claim("rnd_1"), claim("rnd_2", endpoint="else")
    for each in (here, there):
        await open_round(store, each)
        await _enter(store, each)
        assert await _reserve(store, each, 100, 100)
    next_day = _DAY + timedelta(days=1)
    assert await ledger.reserve(store, here, "bot", nano=100, cap_nano=100, day=next_day)
    async with store.read() as connection:
        assert await ledger.spent_today(connection, next_day) == {"bot": (0, 100)}


async def test_attempts_that_are_booked_twice_give_back_no_more_than_the_round_holds(store: Store) -> None:
    (one,) = await opened(store, 1)
    await _enter(store, one)
    await _reserve(store, one, 50, 100)
    await _settle(store, one, 50, 10)
    await _settle(store, one, 50, 10)  # the answer to the first commit was lost
    assert await _money(store) == (20, 0)


async def test_a_round_without_a_permit_can_set_nothing_aside(store: Store) -> None:
    (one,) = await opened(store, 1)
    with pytest.raises(Superseded):
        await _reserve(store, one, 1, 100)
    assert await count(store, ledger_table) == 0


async def test_tokens_and_requests_are_counted_also_where_nothing_was_set_aside(store: Store) -> None:
    (one,) = await opened(store, 1)
    await _settle(store, one, 0, 0)
    await _settle(store, one, 0, 7)
    async with store.read() as connection:
        row = (await connection.execute(select(ledger_table))).one()
    assert (row.requests, row.input_tokens, row.output_tokens, row.spent_nano) == (2, 20, 4, 7)


async def _next_free(store: Store) -> datetime:
    async with store.read() as connection:
        free: datetime = (await connection.execute(select(gates.c.next_free))).scalar_one()
        return free


@pytest.mark.parametrize("per_minute", [7, 11, 60, 6000])
async def test_in_no_minute_are_more_starts_booked_than_the_limit(
    pair: tuple[Store, Store], per_minute: int
) -> None:
    rng = random.Random(per_minute)
    await ledger.pace(pair[0], "bot", requests=1, per_minute=per_minute)
    async with pair[0].write() as connection:  # far ahead: every booking queues behind the one before
        await connection.execute(update(gates).values(next_free=START + timedelta(days=36_500)))
    starts: list[datetime] = []
    for n in range(12):
        requests, first = rng.randrange(1, 9), await _next_free(pair[0])
        wait = await ledger.pace(pair[n % 2], "bot", requests=requests, per_minute=per_minute)
        assert wait > 0
        starts += [first + k * timedelta(seconds=60 / per_minute) for k in range(requests)]
    assert all(a < b for a, b in pairwise(starts))
    minute = timedelta(minutes=1)
    assert all(late - early >= minute for early, late in zip(starts, starts[per_minute:], strict=False))


async def test_replicas_that_book_at_once_book_different_starts(pair: tuple[Store, Store]) -> None:
    await ledger.pace(pair[0], "bot", requests=1, per_minute=60)
    before = await _next_free(pair[0])
    waits = await asyncio.gather(
        *(ledger.pace(store, "bot", requests=3, per_minute=60) for store in pair for _ in range(5))
    )
    assert await _next_free(pair[0]) - before == timedelta(seconds=30)
    assert len({round(wait) for wait in waits}) == 10  # three seconds apart


async def test_who_comes_after_a_pause_need_not_wait_and_gets_no_credit_for_it(store: Store) -> None:
    assert await ledger.pace(store, "bot", requests=1, per_minute=1) == 0.0
    async with store.write() as connection:
        await connection.execute(update(gates).values(next_free=START - timedelta(days=900)))
    assert await ledger.pace(store, "bot", requests=1, per_minute=1) == 0.0
    assert await ledger.pace(store, "bot", requests=1, per_minute=1) > 50


@pytest.mark.parametrize("seed", [1, 2])
async def test_over_two_replicas_concurrency_stays_within_the_limit(
    pair: tuple[Store, Store], seed: int
) -> None:
    rng, limit = random.Random(seed), 8
    claims = await opened(pair[0], 8)
    held: dict[str, int] = {}
    most = 0

    async def work(of: Claim, store: Store) -> None:
        nonlocal most
        for _ in range(4):
            granted = await _enter(store, of, wanted=rng.randrange(1, 6), limit=limit)
            if granted:
                held[of.id] = granted
                most = max(most, sum(held.values()))
                await asyncio.sleep(0)
                del held[of.id]  # before it is given back, as requests end before a round does
                await _leave(store, of)

    await asyncio.gather(*(work(each, pair[n % 2]) for n, each in enumerate(claims)))
    assert 0 < most <= limit


async def test_concurrency_is_shared_and_a_round_may_ask_again(store: Store) -> None:
    a, b, c = await opened(store, 3)
    assert await _enter(store, a, 5, 8) == 5
    assert await _enter(store, b, 5, 8) == 3
    assert await _enter(store, c, 5, 8) == 0
    assert await _enter(store, a, 5, 8) == 5, "its own share does not stand in its way"
    assert await _enter(store, claim("rnd_else", endpoint="else"), 5, 8) == 5
    await _leave(store, a)
    assert await _enter(store, c, 5, 8) == 5


async def test_the_share_of_a_dead_round_is_free_after_its_lease(store: Store) -> None:
    dead, live = await opened(store, 2)
    assert await _enter(store, dead, 8, 8) == 8
    assert await _enter(store, live, 8, 8) == 0
    await expire(store, dead.id)
    assert await _enter(store, live, 8, 8) == 8


async def test_the_share_of_a_closed_round_is_free(store: Store) -> None:
    ended, live = await opened(store, 2)
    await _enter(store, ended, 8, 8)
    async with store.write() as connection:
        await rounds.hold(connection, store, ended, state="closed", outcome="complete")
    assert await _enter(store, live, 8, 8) == 8


async def test_a_round_holds_a_permit_for_each_endpoint_that_judges_it(store: Store) -> None:
    mine, other = claim("rnd_1"), claim("rnd_2", endpoint="else")
    for each in (mine, other):
        await open_round(store, each)
    assert await _enter(store, mine) == 1
    assert await ledger.enter(store, mine, "judge", wanted=3, limit=4, day=_DAY) == 3
    assert await ledger.enter(store, other, "judge", wanted=3, limit=4, day=_DAY) == 1, "what is left of 4"
    assert await ledger.reserve(store, mine, "judge", nano=60, cap_nano=100, day=_DAY)
    assert not await ledger.reserve(store, other, "judge", nano=60, cap_nano=100, day=_DAY)
    assert await _reserve(store, mine, 60, 100), "its own endpoint's money is another"
    await _leave(store, mine)
    assert (await _money(store), await _money(store, "judge")) == ((0, 0), (0, 0))
