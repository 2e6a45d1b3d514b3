"""What is too old goes, in batches, and nothing else does."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Table, insert, select, text

from monitor import retention
from monitor.config.model import Retention
from monitor.store import schema
from monitor.store.engine import Store
from monitor.store.tables import (
    detector_snapshots,
    events,
    incidents,
    ledger,
    reply_texts,
    results,
    round_stats,
    rounds,
    transitions,
)
from tests.conftest import START
from tests.monitor.store.build import append, claim, count, open_round, reply, result

_DAY = timedelta(days=1)
_POLICY = Retention(replies=30 * _DAY, results=90 * _DAY, round_stats=400 * _DAY)
#: Table -> (its time, how long it is kept).
_KEPT: Mapping[Table, tuple[Any, timedelta]] = {
    reply_texts: (reply_texts.c.seen, _POLICY.replies),
    results: (results.c.at, _POLICY.results),
    round_stats: (round_stats.c.at, _POLICY.round_stats),
    rounds: (rounds.c.slot, _POLICY.round_stats),
    events: (events.c.at, _POLICY.round_stats),
}
_AGES = [
    age + shift
    for _, age in _KEPT.values()
    for shift in (-_DAY, -timedelta(microseconds=1), timedelta(0), _DAY)
]


async def _live(store: Store) -> None:
    """One of everything at every age that matters."""
    for n, at in enumerate(START - age for age in _AGES):
        of = claim(f"rnd_{n}", slot=at, probe=f"p{n}")
        assert await open_round(store, of)
        await append(store, of, [result(of)], [reply(f"{n}", at)])
        async with store.write() as connection:
            await connection.execute(insert(events).values(at=at, kind="config", text=""))
            await connection.execute(
                insert(round_stats).values(
                    stream_id=n, at=at, round_id=of.id, n=1, verdict="steady", evidence=0.0
                )
            )


async def test_each_table_keeps_its_own_time_to_the_microsecond(store: Store) -> None:
    await _live(store)
    await retention.apply(store, _POLICY, START)
    for table, (column, age) in _KEPT.items():
        kept = [each for each in _AGES if each <= age]
        assert await count(store, table) == len(kept), table.name
        assert await count(store, table, column < START - age) == 0
    await retention.apply(store, _POLICY, START)
    assert await count(store, results) == sum(each <= _POLICY.results for each in _AGES)


async def test_what_is_kept_for_ever_is_not_touched(store: Store) -> None:
    long_ago = START - 3_000 * _DAY
    async with store.write() as connection:
        await connection.execute(
            insert(incidents).values(
                id="inc_1",
                fingerprint="f",
                endpoint="bot",
                severity="critical",
                state="resolved",
                seq=1,
                opened=long_ago,
                updated=long_ago,
                resolved=long_ago,
                body={},
            )
        )
        await connection.execute(
            insert(transitions).values(
                incident_id="inc_1", seq=1, kind="opened", at=long_ago, summary="", reason=""
            )
        )
        await connection.execute(
            insert(ledger).values(
                endpoint="bot",
                day=long_ago.date(),
                reserved_nano=0,
                spent_nano=1,
                requests=1,
                input_tokens=1,
                output_tokens=1,
            )
        )
    await retention.apply(store, _POLICY, START)
    for table in (incidents, transitions, ledger):
        assert await count(store, table) == 1


async def test_the_newest_snapshots_of_a_detector_are_kept(store: Store) -> None:
    days = [START.date() - n * _DAY for n in range(40)]
    async with store.write() as connection:
        await connection.execute(
            insert(detector_snapshots),
            [{"stream_id": 1, "day": day, "slot": None, "baseline": "b", "body": b""} for day in days],
        )
    await retention.apply(store, _POLICY, START)
    async with store.read() as connection:
        left = (await connection.execute(select(detector_snapshots.c.day))).scalars().all()
    assert START.date() in left
    assert 1 < len(left) < 15


@pytest.mark.parametrize("ties", [1, 7_000])
async def test_more_than_a_batch_goes_also_where_many_have_the_same_time(store: Store, ties: int) -> None:
    old = START - _POLICY.round_stats - _DAY
    rows = [
        {"at": old - (n // ties) * timedelta(seconds=1), "kind": "config", "text": ""} for n in range(11_000)
    ]
    rows += [{"at": START, "kind": "config", "text": ""} for _ in range(3)]
    async with store.write() as connection:
        await connection.execute(insert(events), rows)
    assert (await retention.apply(store, _POLICY, START))["event"] == 11_000
    assert await count(store, events) == 3


async def _partitions(store: Store) -> set[str]:
    async with store.read() as connection:
        found = await connection.execute(
            text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'result'::regclass")
        )
        return set(found.scalars())


async def test_months_of_results_that_are_wholly_too_old_are_dropped(postgres_url: str) -> None:
    """START is 2 March: with 90 days kept, 2 December is the oldest, so December stays and November goes."""
    stores = [Store(postgres_url) for _ in range(4)]
    one = stores[0]
    for back in (4, 5, 8, 3):
        async with one.write() as connection:
            await schema.ensure_partitions(connection, one, schema.month(START, -back))
    before = await _partitions(one)
    old = {name for name in before if name <= "result_2025_11"}
    assert {"result_2025_07", "result_2025_10", "result_2025_11", "result_2025_12"} <= before
    await asyncio.gather(*(_partitions(store) for store in stores))  # connected, so that they do race
    await asyncio.gather(*(retention.apply(store, _POLICY, START) for store in stores))
    assert await _partitions(one) == before - old
    for store in stores:
        await store.close()
