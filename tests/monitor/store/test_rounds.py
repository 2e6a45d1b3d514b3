"""A slot is opened once, worked on by one owner at a time, and taken over once when that owner is gone."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from monitor.store import rounds
from monitor.store.engine import Store
from monitor.store.errors import Superseded
from monitor.store.rounds import Claim
from monitor.store.tables import exposures, replicas, reply_texts, results
from monitor.store.tables import rounds as round_table
from tests.conftest import START
from tests.monitor.store.build import append, claim, count, expire, open_round, opened, reply, result


async def _standing(store: Store, of: Claim) -> str:
    async with store.read() as connection:
        return await rounds.standing(
            connection, endpoint=of.endpoint, probe=of.probe, kind=of.kind, slot=of.slot
        )


async def _close(store: Store, of: Claim) -> None:
    async with store.write() as connection:
        await rounds.hold(connection, store, of, state="closed", outcome="complete", closed=START)


async def test_of_many_who_claim_one_slot_one_gets_it(pair: tuple[Store, Store]) -> None:
    got = await asyncio.gather(
        *(open_round(store, claim(f"rnd_{n}_{side}")) for n in range(8) for side, store in enumerate(pair))
    )
    assert sum(got) == 1
    assert await count(pair[1], round_table) == 1


async def test_a_probe_has_one_open_round_whoever_opens_it(pair: tuple[Store, Store]) -> None:
    slots = [claim(f"rnd_{n}", slot=START + timedelta(minutes=n)) for n in range(8)]
    got = await asyncio.gather(*(open_round(pair[n % 2], each) for n, each in enumerate(slots)))
    assert sum(got) == 1
    assert await open_round(pair[0], claim("rnd_other", probe="speed"))
    assert await open_round(pair[0], claim("rnd_else", endpoint="else"))


async def test_a_slot_is_free_then_overlapped_then_taken(store: Store) -> None:
    first, second = claim("rnd_1"), claim("rnd_2", slot=START + timedelta(minutes=15))
    assert await _standing(store, first) == "free"
    await open_round(store, first)
    assert await _standing(store, first) == "taken"
    assert await _standing(store, second) == "overlapped"
    assert await open_round(store, second, outcome="overlapped"), "it is accounted for beside the open one"
    await _close(store, first)
    assert await _standing(store, second) == "taken"
    assert await _standing(store, claim(slot=START + timedelta(minutes=30))) == "free"


async def test_another_kind_of_round_may_have_the_same_slot(store: Store) -> None:
    await open_round(store, claim("rnd_1", kind="manual"), outcome="complete")
    assert await open_round(store, claim("rnd_2"))


async def test_a_closed_round_is_nobody_s_any_more(store: Store) -> None:
    await open_round(store, claim())
    await _close(store, claim())
    with pytest.raises(Superseded):
        await _close(store, claim())


async def test_results_are_stored_once_however_often_they_are_appended(store: Store) -> None:
    await open_round(store, claim())
    rows = [result(claim(), seq, detail="ünï\U0001f600") for seq in range(3)]
    later = START + timedelta(hours=1)
    await append(store, claim(), rows[:2], [reply("a"), reply("b")])
    await append(store, claim(), [{**row, "id": row["id"] + 1000} for row in rows], [reply("b", later)])
    async with store.read() as connection:
        found = await rounds.load_results(connection, claim())
        seen = dict((await connection.execute(select(reply_texts.c.hash, reply_texts.c.seen))).all())
    assert [(row.seq, row.detail) for row in found] == [(n, "ünï\U0001f600") for n in range(3)]
    assert [row.id for row in found][:2] == [rows[0]["id"], rows[1]["id"]]
    assert seen == {"hash of a": START, "hash of b": later}


async def test_after_the_fence_has_moved_an_append_writes_nothing(pair: tuple[Store, Store]) -> None:
    old, new = pair
    await open_round(old, claim())
    await expire(old, "rnd_1")
    (taken,) = await rounds.abandoned(new, replica="rep_b")
    with pytest.raises(Superseded, match="rnd_1 was taken over"):
        await append(old, claim(), [result(claim())], [reply()])
    assert await count(old, results) == await count(old, reply_texts) == 0
    await append(new, taken, [result(claim())], [reply()])
    assert await count(old, results) == await count(old, reply_texts) == 1


async def test_abandoned_rounds_are_taken_over_once_by_two_who_race(pair: tuple[Store, Store]) -> None:
    dead = await opened(pair[0], 12)
    live = claim("rnd_live", probe="live")
    await open_round(pair[0], live)
    await expire(pair[0], *(each.id for each in dead))
    taken: Sequence[list[Claim]] = await asyncio.gather(
        *(rounds.abandoned(store, replica=f"rep_{n}") for n, store in enumerate(pair * 3))
    )
    ids = [each.id for some in taken for each in some]
    assert sorted(ids) == [each.id for each in dead]
    assert {each.fence for some in taken for each in some} == {2}
    async with pair[0].write() as connection:
        await rounds.hold(connection, pair[0], live)


async def test_a_daemon_that_is_alone_takes_what_daemons_held_at_once_but_not_what_a_command_holds(
    store: Store,
) -> None:
    async with store.write() as connection:
        await connection.execute(
            insert(replicas).values(id="rep_dead", seen=START, version="0", config_hash="")
        )
    await open_round(store, claim("rnd_daemon", probe="one"), replica="rep_dead")
    await open_round(store, claim("rnd_command", probe="two"), replica="rep_command")
    (taken,) = await rounds.abandoned(store, replica="rep_new", alone=True)
    assert taken.id == "rnd_daemon"


async def test_a_command_takes_over_its_own_probe_only(store: Store) -> None:
    one, two = claim("rnd_1", probe="one"), claim("rnd_2", probe="two")
    for made in (one, two):
        await open_round(store, made)
        await expire(store, made.id)
    (taken,) = await rounds.abandoned(store, replica="rep_b", only=("bot", "two"))
    assert taken.id == "rnd_2"


async def test_who_takes_over_gets_the_whole_claim(store: Store) -> None:
    panel = [{"seq": 0, "key": "basics/ü", "inclusion": 1 / 3, "split": "held_out"}]
    made = claim(panel=panel, kind="baseline", baseline="bas_1", set_version={"basics": 7, "more": 1})
    await open_round(store, made)
    await expire(store, made.id)
    (taken,) = await rounds.abandoned(store, replica="rep_b")
    assert taken == claim(
        panel=panel, kind="baseline", baseline="bas_1", set_version={"basics": 7, "more": 1}, fence=2
    )


async def test_a_round_that_is_given_up_is_free_at_once(pair: tuple[Store, Store]) -> None:
    await open_round(pair[0], claim())
    assert await rounds.abandoned(pair[1], replica="rep_b") == []
    await rounds.release(pair[0], claim())
    (taken,) = await rounds.abandoned(pair[1], replica="rep_b")
    await rounds.release(pair[0], claim())  # it is another's now: nothing to give up
    assert await rounds.abandoned(pair[0], replica="rep_a") == []
    async with pair[1].write() as connection:
        await rounds.hold(connection, pair[1], taken)


async def test_holding_a_round_renews_its_lease(store: Store) -> None:
    await open_round(store, claim())
    await expire(store, "rnd_1")
    async with store.write() as connection:
        await rounds.hold(connection, store, claim())
    assert await rounds.abandoned(store, replica="rep_b") == []


@pytest.mark.parametrize(
    "slot",
    [datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC)],
)
async def test_a_slot_of_an_earlier_month_can_be_asked(store: Store, slot: datetime) -> None:
    old = claim(slot=slot)
    assert await open_round(store, old)
    await append(store, old, [result(old)])
    assert await count(store, results, results.c.at == slot) == 1


async def test_a_batch_of_thousands_is_stored(store: Store) -> None:
    await open_round(store, claim())
    await append(
        store, claim(), [result(claim(), n) for n in range(5_000)], [reply(f"{n}") for n in range(5_000)]
    )
    assert await count(store, results) == await count(store, reply_texts) == 5_000


async def test_exposures_add_up_and_remember_the_last_slot(store: Store) -> None:
    asked: list[tuple[Claim, dict[str, int]]] = [
        (claim(), {"a": 1, "b": 1}),
        (claim(slot=START + timedelta(minutes=15)), {"b": 2, "c": 1}),
        (claim(probe="other"), {"a": 5}),
        (claim(), {}),
    ]
    async with store.write() as connection:
        for of, each in asked:
            await rounds.expose(connection, store, of, each)
        known = await rounds.load_exposures(connection, "bot", "quality")
    later = START + timedelta(minutes=15)
    assert known == {"a": (1, START), "b": (3, later), "c": (1, later)}


async def test_replicas_count_the_exposures_of_each_other(pair: tuple[Store, Store]) -> None:
    keys = [f"c{n}" for n in range(40)]

    async def ask(store: Store, order: int) -> None:
        async with store.write() as connection:
            await rounds.expose(connection, store, claim(), dict.fromkeys(keys[::order], 1))

    await asyncio.gather(*(ask(store, order) for store in pair for order in (1, -1)))
    async with pair[0].read() as connection:
        found = (await connection.execute(select(exposures.c.asked))).scalars().all()
    assert list(found) == [4] * 40


async def test_the_last_slot_is_that_of_a_round_or_a_capture_and_of_no_manual_one(store: Store) -> None:
    async def last() -> Any:
        async with store.read() as connection:
            return await rounds.last_slot(connection, "bot", "quality")

    assert await last() is None
    for n, kind in enumerate(["scheduled", "baseline", "manual"]):
        at = START + timedelta(minutes=n)
        await open_round(store, claim(f"rnd_{n}", kind=kind, slot=at), outcome="complete")
    await open_round(store, claim("rnd_x", probe="other", slot=START + timedelta(days=1)))
    assert await last() == START + timedelta(minutes=1)
