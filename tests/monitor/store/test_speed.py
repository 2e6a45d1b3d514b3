"""Requests of a period, as columns: which are read, how they are told apart, and that nothing is made up."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from monitor.period import Period
from monitor.store import speed as room
from monitor.store.engine import Store
from monitor.store.speed import Asked, PeriodTooLarge, SpeedView, speed, spent_since
from monitor.store.tables import eval_set_cases, ledger, results
from tests.conftest import START
from tests.monitor.store.build import claim, open_round, result

_HOUR = timedelta(hours=1)


async def _round(store: Store, n: int, at: datetime, *rows: dict[str, Any], **fields: Any) -> None:
    made = claim(f"rnd_{n:03}", slot=at, **fields)
    assert await open_round(store, made, outcome="complete", now=at)
    async with store.write() as connection:
        await connection.execute(
            insert(results), [{**_plain, **result(made, seq), **row} for seq, row in enumerate(rows)]
        )


_plain = {
    "first_token": None,
    "between_tokens": None,
    "output_tokens": None,
    "reasoning_tokens": None,
    "cost_nano": None,
}


async def _case(store: Store, name: str, *tags: str, retired: datetime | None = None) -> None:
    row = {"case_hash": f"{name} {tags}", "layer": "file", "case_id": name, "body": {"tags": list(tags)}}
    async with store.write() as connection:
        await connection.execute(
            insert(eval_set_cases).values(eval_set="basics", added=START, retired=retired, **row)
        )


async def _ask(store: Store, start: datetime = START, hours: float = 1, **asked: Any) -> SpeedView:
    span = Period(start=start, end=start + hours * _HOUR)
    return await speed(store, Asked(period=span, **asked), START)


def _counts(seen: SpeedView) -> dict[tuple[str, str], int]:
    return {(row.speed.endpoint, row.speed.group): row.speed.requests for row in seen.rows}


async def test_every_column_arrives_and_what_is_null_stays_unknown(store: Store) -> None:
    whole = {
        "elapsed": 2.0,
        "first_token": 0.5,
        "between_tokens": 0.1,
        "output_tokens": 16,
        "reasoning_tokens": 0,
        "cost_nano": 3_000_000,
        "reused": True,
    }
    await _round(store, 1, START, whole, {"elapsed": 1.0}, {"outcome": "timeout", "elapsed": 60.0})
    (row,) = (await _ask(store)).rows
    seen = row.speed
    assert (seen.requests, seen.answered, seen.failed, seen.not_asked) == (3, 2, 1, 0)
    assert seen.measures["latency"].mean.value == pytest.approx(1.5)  # type: ignore[union-attr]
    for name, value in (("time_to_first_token", 0.5), ("time_per_output_token", 0.1), ("cost", 0.003)):
        found = seen.measures[name]
        assert found is not None
        assert found.n == 1
        assert found.max == pytest.approx(value)
    assert seen.measures["tokens_per_second"].max == pytest.approx(10.0)  # type: ignore[union-attr]
    assert seen.spent_usd == pytest.approx(0.003)
    assert seen.unpriced == 1
    assert seen.reused is not None
    assert seen.reused.value == 0.5


async def test_a_period_holds_its_start_and_not_its_end(store: Store) -> None:
    for n, minutes in enumerate((-1, 0, 59, 60)):
        await _round(store, n, START + timedelta(minutes=minutes), {})
    assert _counts(await _ask(store)) == {("bot", ""): 2}
    assert _counts(await _ask(store, START + 5 * _HOUR)) == {}


async def test_one_endpoint_can_be_asked_for(store: Store) -> None:
    await _round(store, 1, START, {})
    await _round(store, 2, START, {}, {}, endpoint="other")
    assert _counts(await _ask(store)) == {("bot", ""): 1, ("other", ""): 2}
    assert _counts(await _ask(store, endpoint="other")) == {("other", ""): 2}


async def test_probes_are_told_apart(store: Store) -> None:
    await _round(store, 1, START, {})
    await _round(store, 2, START, {}, {}, probe="second")
    assert _counts(await _ask(store, by="probe")) == {("bot", "quality"): 1, ("bot", "second"): 2}


async def test_a_request_counts_for_each_tag_of_its_case(store: Store) -> None:
    await _case(store, "c0", "hard", "new")
    await _case(store, "c1", "hard")
    await _round(store, 1, START, {}, {}, {})
    seen = await _ask(store, by="tag")
    assert _counts(seen) == {("bot", ""): 1, ("bot", "hard"): 2, ("bot", "new"): 1}
    assert seen.tags == ["hard", "new"]
    assert _counts(await _ask(store, tag="new")) == {("bot", ""): 1}
    assert _counts(await _ask(store, tag="none")) == {}


async def test_a_case_has_the_tags_that_it_has_now_and_a_retired_one_those_it_had(store: Store) -> None:
    await _case(store, "c0", "old", retired=START)
    await _case(store, "c0", "now")
    await _case(store, "c1", "gone", retired=START)
    await _round(store, 1, START, {}, {})
    assert _counts(await _ask(store, by="tag")) == {("bot", "now"): 1, ("bot", "gone"): 1}


async def test_rounds_are_told_apart_newest_first_up_to_a_number(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST_ROUNDS", 2)
    for n in range(3):
        await _round(store, n, START + timedelta(minutes=n), *[{}] * (n + 1), kind="manual")
    seen = await _ask(store, by="round")
    assert [(row.speed.group, row.speed.requests, row.kind) for row in seen.rows] == [
        ("rnd_002", 3, "manual"),
        ("rnd_001", 2, "manual"),
    ]
    assert seen.more_rounds
    assert seen.rows[0].slot == START + timedelta(minutes=2)
    assert not (await _ask(store, by="round", hours=1 / 60)).more_rounds


async def test_a_period_that_holds_too_much_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_REQUESTS", 2)
    await _round(store, 1, START, {}, {})
    assert _counts(await _ask(store)) == {("bot", ""): 2}
    await _round(store, 2, START + timedelta(minutes=1), {})
    with pytest.raises(PeriodTooLarge, match="shorter"):
        await _ask(store)


async def test_money_of_days_is_the_ledger_s(store: Store) -> None:
    async with store.write() as connection:
        for days, nano in ((0, 1_000_000_000), (1, 500_000_000), (40, 7)):
            day = START.date() - timedelta(days=days)
            await connection.execute(insert(ledger).values(endpoint="bot", day=day, spent_nano=nano))
    async with store.read() as connection:
        assert await spent_since(connection, START.date() - timedelta(days=30)) == {"bot": 1.5}
